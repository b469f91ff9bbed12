// npm test: the Rust tests, then the JavaScript tests, then what was skipped and why, and one line that sums up all.

import { join } from 'node:path'
import { avaCount, countSkips, rustCount, skippedInRust, sumUp } from './counting.mjs'
import { archives } from './inputs.mjs'
import { ask, main, root, tee } from './process.mjs'
import { pinnedNode, prepare } from './setup.mjs'

/** @typedef {import('./counting.mjs').Count} Count */

await main(async () => {
  prepare()
  archives()
  const env = { ...process.env, CARGO_TERM_COLOR: 'never', ...countSkips() }
  const rust = await cargoTests(env)
  sumUp([...rust, skippedInRust(), await avaTests()])
})

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<Count[]>}
 */
async function cargoTests(env) {
  if (ask('cargo', ['nextest', '--version']) === undefined)
    return [await cargo(['test', '--workspace', '--no-fail-fast'], env)]
  return [
    await cargo(['nextest', 'run', '--workspace', '--no-fail-fast', '--status-level=fail'], env),
    await cargo(['test', '--workspace', '--doc', '--no-fail-fast'], env),
  ]
}

/**
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 */
async function cargo(args, env) {
  console.log(`\n> cargo ${args.join(' ')}`)
  const { ok, output } = await tee('cargo', args, { env })
  return rustCount(ok, output)
}

async function avaTests() {
  console.log('\n> ava')
  const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
  const { ok, output } = await tee(pinnedNode, [ava])
  return avaCount(ok, output)
}

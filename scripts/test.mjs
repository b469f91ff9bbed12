// npm test: the Rust tests, then the JavaScript tests, then one line that sums up both.

import { join } from 'node:path'
import { ask, main, root, tee } from './process.mjs'
import { pinnedNode, prepare } from './setup.mjs'

/** @typedef {{ passed: number, failed: number }} Count */

await main(async () => {
  prepare()
  const counts = [...(await cargoTests()), await avaTests()]
  const passed = counts.reduce((sum, count) => sum + count.passed, 0)
  const failed = counts.reduce((sum, count) => sum + count.failed, 0)
  console.log(`\n${passed} passed, ${failed} failed`)
  if (failed > 0) process.exitCode = 1
})

/** @returns {Promise<Count[]>} */
async function cargoTests() {
  if (ask('cargo', ['nextest', '--version']) === undefined)
    return [await cargo(['test', '--workspace', '--no-fail-fast'])]
  return [
    await cargo(['nextest', 'run', '--workspace', '--no-fail-fast', '--status-level=fail']),
    await cargo(['test', '--workspace', '--doc', '--no-fail-fast']),
  ]
}

/** @param {string[]} args */
async function cargo(args) {
  console.log(`\n> cargo ${args.join(' ')}`)
  const { ok, output } = await tee('cargo', args, { env: { ...process.env, CARGO_TERM_COLOR: 'never' } })
  const passed = sum(output, /^(?:test result:.*?|\s+Summary .*?) (\d+) passed/gm)
  const failed = sum(output, /^(?:test result:.*?|\s+Summary .*?) (\d+) (?:failed|timed out)/gm)
  return accountable(ok, { passed, failed })
}

async function avaTests() {
  console.log('\n> ava')
  const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
  const { ok, output } = await tee(pinnedNode, [ava])
  // ava sums up what passed only if nothing failed, so its ticks are counted.
  const passed = [...output.matchAll(/^\s+[✔√] /gm)].length
  const failed = sum(output, /^\s+(\d+) (?:tests?|hooks?|uncaught exceptions?|unhandled rejections?)(?: failed)?$/gm)
  return accountable(ok, { passed, failed })
}

/**
 * A run that failed without a failed test, because it did not compile, say, counts as one failure.
 *
 * @param {boolean} ok
 * @param {Count} count
 */
function accountable(ok, count) {
  return ok || count.failed > 0 ? count : { ...count, failed: 1 }
}

/**
 * @param {string} text
 * @param {RegExp} pattern
 */
function sum(text, pattern) {
  return [...text.matchAll(pattern)].reduce((total, [, number]) => total + Number(number), 0)
}

// npm test: the Rust tests, then the JavaScript tests, then what was skipped and why, and one line that sums up all.

import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { archives } from './inputs.mjs'
import { ask, main, root, tee } from './process.mjs'
import { pinnedNode, prepare } from './setup.mjs'

/** @typedef {{ passed: number, failed: number, skipped: string[] }} Count */

/** Where Rust tests write that they were skipped: Rust's harness knows no such thing. See testing/src/skip.rs. */
const skips = join(root, '.cache', 'skips')

await main(async () => {
  prepare()
  archives()
  rmSync(skips, { force: true })
  const rust = await cargoTests()
  const count = summed([...rust, skippedInRust(), await avaTests()])
  console.log('')
  for (const skip of count.skipped) console.log(`skipped: ${skip}`)
  console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped.length} skipped`)
  if (count.failed > 0) process.exitCode = 1
})

/**
 * @param {Count[]} counts
 * @returns {Count}
 */
function summed(counts) {
  return {
    passed: counts.reduce((sum, count) => sum + count.passed, 0),
    failed: counts.reduce((sum, count) => sum + count.failed, 0),
    skipped: counts.flatMap(count => count.skipped),
  }
}

/**
 * The harness counted them as passed: each takes one away. A test that leaves out two things is skipped once.
 *
 * @returns {Count}
 */
function skippedInRust() {
  const lines = existsSync(skips) ? readFileSync(skips, 'utf8').split('\n').filter(Boolean) : []
  const byTest = new Map(lines.map(line => [line.split(': ', 1)[0], line]))
  return { passed: -byTest.size, failed: 0, skipped: [...byTest.values()].sort() }
}

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
  const env = { ...process.env, CARGO_TERM_COLOR: 'never', CODESLAB_SKIPS: skips }
  const { ok, output } = await tee('cargo', args, { env })
  const passed = sum(output, /^(?:test result:.*?|\s+Summary .*?) (\d+) passed/gm)
  const failed = sum(output, /^(?:test result:.*?|\s+Summary .*?) (\d+) (?:failed|timed out)/gm)
  return accountable(ok, { passed, failed, skipped: [] })
}

async function avaTests() {
  console.log('\n> ava')
  const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
  const { ok, output } = await tee(pinnedNode, [ava])
  // ava sums up what passed only if nothing failed, so its ticks are counted.
  const passed = [...output.matchAll(/^\s+[✔√] /gm)].length
  const failed = sum(output, /^\s+(\d+) (?:tests?|hooks?|uncaught exceptions?|unhandled rejections?)(?: failed)?$/gm)
  const skipped = [...output.matchAll(/^\s+- \[skip\] (.+)$/gm)].map(([, title = '']) => title)
  return accountable(ok, { passed, failed, skipped })
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

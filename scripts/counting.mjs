// What tests say of themselves, counted: Rust's harness and ava, on this machine and on others that it pretends to be.

import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from './process.mjs'

/** @typedef {{ passed: number, failed: number, skipped: string[] }} Count */

/** Where Rust tests write that they were skipped: Rust's harness knows no such thing. See testing/src/skip.rs. */
const skips = join(root, '.cache', 'skips')

/** Forgets what was skipped before, and says by which variable tests learn where to write. */
export function countSkips() {
  rmSync(skips, { force: true })
  mkdirSync(dirname(skips), { recursive: true })
  return { CODESLAB_SKIPS: skips }
}

/**
 * The harness counted them as passed: each takes one away. A test that leaves out two things is skipped once.
 *
 * @returns {Count}
 */
export function skippedInRust() {
  const lines = existsSync(skips) ? readFileSync(skips, 'utf8').split('\n').filter(Boolean) : []
  const byTest = new Map(lines.map(line => [line.split(': ', 1)[0], line]))
  return { passed: -byTest.size, failed: 0, skipped: [...byTest.values()].sort() }
}

/**
 * @param {boolean} ok
 * @param {string} output of `cargo test` or `cargo nextest`, or of one program with tests
 * @returns {Count}
 */
export function rustCount(ok, output) {
  const passed = sum(output, /^(?:test result:.*?|\s+Summary .*?) (\d+) passed/gm)
  const failed = sum(output, /^(?:test result:.*?|\s+Summary .*?) (\d+) (?:failed|timed out)/gm)
  return accountable(ok, { passed, failed, skipped: [] })
}

/**
 * @param {boolean} ok
 * @param {string} output
 * @returns {Count}
 */
export function avaCount(ok, output) {
  // ava sums up what passed only if nothing failed, so its ticks are counted.
  const passed = [...output.matchAll(/^\s+[✔√] /gm)].length
  const failed = sum(output, /^\s+(\d+) (?:tests?|hooks?|uncaught exceptions?|unhandled rejections?)(?: failed)?$/gm)
  const skipped = [...output.matchAll(/^\s+- \[skip\] (.+)$/gm)].map(([, title = '']) => title)
  return accountable(ok, { passed, failed, skipped })
}

/**
 * Prints what was skipped, and one line that sums up all. A failure is the failure of the script.
 *
 * @param {Count[]} counts
 */
export function sumUp(counts) {
  const count = summed(counts)
  console.log('')
  for (const skip of count.skipped) console.log(`skipped: ${skip}`)
  console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped.length} skipped`)
  if (count.failed > 0) process.exitCode = 1
}

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

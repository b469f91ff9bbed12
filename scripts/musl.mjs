// npm run test:musl: the Rust tests with musl, on this machine. Builds them with zig as the linker, which links programs for musl statically, fetches
// what that takes into a cache outside of the tree (see cache.mjs), runs them, and sums up. What cannot be had is named and skipped.
//
// Arguments are names of packages: all that run there without any. The Node module is linked dynamically, and is tried by pack-systems.mjs.

import { readFileSync } from 'node:fs'
import { countSkips, rustCount, skippedInRust, sumUp } from './counting.mjs'
import { buildTests, withZig } from './cross.mjs'
import { prepareMusl, runInMusl } from './musl-system.mjs'
import { Failure, main } from './process.mjs'
import { checkAsked } from './specs.mjs'

const target = 'x86_64-unknown-linux-musl'
const packages = ['codeslab', 'codeslab-call', 'codeslab-link']

/**
 * What tests take that is not there with musl, and which tests these are.
 *
 * @type {Record<string, string[]>}
 */
const lacking = JSON.parse(readFileSync(new URL('musl-lacking.json', import.meta.url), 'utf8'))

/** @typedef {import('./counting.mjs').Count} Count */
/** @typedef {{ toolchain: import('./cross.mjs').Toolchain, machine: import('./musl-system.mjs').Machine }} System */

const names = process.argv.slice(2)

await main(async () => {
  checkAsked(names, packages)
  const system = await ready()
  if (system) sumUp(await rustTests(system))
})

/**
 * Fetches everything; what is missing is a skip with a name, and not a pass.
 *
 * @returns {Promise<System | undefined>}
 */
async function ready() {
  try {
    return { toolchain: withZig(target), machine: await prepareMusl() }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    sumUp([{ passed: 0, failed: 0, skipped: [`tests with musl: ${error.message}`] }])
    return undefined
  }
}

/**
 * @param {System} system
 * @returns {Promise<Count[]>}
 */
async function rustTests({ toolchain, machine }) {
  const env = countSkips()
  /** @type {Count[]} */
  const counts = []
  for (const { program, folder } of buildTests(toolchain, names.length === 0 ? packages : names)) {
    console.log(`\n> ${program}`)
    const { output: listed } = await runInMusl(machine, [program, '--list'], { cwd: folder, quiet: true })
    const left = lackingIn(listed)
    const skips = left.flatMap(({ test }) => ['--skip', test])
    const { ok, output } = await runInMusl(machine, [program, '--exact', ...skips], {
      cwd: folder,
      env: { ...env, CARGO_MANIFEST_DIR: folder },
    })
    counts.push(rustCount(ok, output), {
      passed: 0,
      failed: 0,
      skipped: left.map(({ test, reason }) => `${test}: ${reason}`),
    })
  }
  return [...counts, skippedInRust()]
}

/** @param {string} output of a program with tests that was asked for their names */
function lackingIn(output) {
  const all = Object.entries(lacking).flatMap(([reason, tests]) => tests.map(test => ({ test, reason })))
  return all.filter(({ test }) => output.split('\n').includes(`${test}: test`))
}

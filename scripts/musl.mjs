// npm run test:musl: the tests with musl, on this machine. Builds them with zig as the linker, which links programs for musl statically and the
// Node module dynamically, fetches what that takes into a cache outside of the tree (see cache.mjs), runs them, and sums up. What cannot be had is
// named and skipped.
//
// Arguments say which tests: `rust`, `ava`, or names of packages and of files of JavaScript tests. All without any.

import { cpSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { avaCount, countSkips, rustCount, skippedInRust, sumUp } from './counting.mjs'
import { buildModule, buildTests, withZig } from './cross.mjs'
import { archives } from './inputs.mjs'
import { muslNode, prepareMusl, runInMusl } from './musl-system.mjs'
import { Failure, main, root } from './process.mjs'
import { prepare } from './setup.mjs'
import { checkAsked, chosen, skippedOfTree, specs } from './specs.mjs'

const target = 'x86_64-unknown-linux-musl'
const packages = ['codeslab', 'codeslab-call', 'codeslab-link']
/** Libraries that the JavaScript tests link. */
const libraries = ['libz.a', 'libsqlite3.a']

/**
 * What tests take that is not there with musl, and which tests these are.
 *
 * @type {Record<string, string[]>}
 */
const lacking = JSON.parse(readFileSync(new URL('musl-lacking.json', import.meta.url), 'utf8'))

/** @typedef {import('./counting.mjs').Count} Count */
/** @typedef {{ toolchain: import('./cross.mjs').Toolchain, machine: import('./musl-system.mjs').Machine }} System */

const parts = process.argv.slice(2)

await main(async () => {
  checkAsked(parts, ['rust', 'ava', ...packages, ...specs])
  const system = await ready()
  if (!system) return
  sumUp([...(await rustTests(system)), ...(await avaTests(system))])
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
  const names = chosen(parts, 'rust', packages)
  if (names.length === 0) return []
  const env = countSkips()
  /** @type {Count[]} */
  const counts = []
  for (const { program, folder } of buildTests(toolchain, names)) {
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

/**
 * The same JavaScript tests as elsewhere, on a Node for musl.
 *
 * @param {System} system
 * @returns {Promise<Count[]>}
 */
async function avaTests({ toolchain, machine }) {
  const files = chosen(parts, 'ava', specs).map(name => `__test__/${name}.spec.ts`)
  if (files.length === 0) return []
  prepare()
  const program = muslNode()
  // Where the loader looks for a binary in a checkout.
  cpSync(buildModule(toolchain), join(root, 'codeslab.linux-x64-musl.node'))
  const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
  console.log(`\n> node ${ava} ${files.join(' ')}`)
  const command = [program, ava, '--timeout=10m', '--concurrency=2', ...files]
  const env = { NO_COLOR: '1', CI: 'true', CODESLAB_LIBRARIES: muslLibraries() }
  const { ok, output } = await runInMusl(machine, command, { cwd: root, env })
  const whole = files.length === specs.length ? [skippedOfTree] : []
  return [avaCount(ok, output), ...whole]
}

/** Real libraries, compiled with musl's headers, in one folder. */
function muslLibraries() {
  const folder = join(root, '.cache', 'libraries-for-musl')
  mkdirSync(folder, { recursive: true })
  for (const name of libraries) {
    const [path = ''] = archives('--compiler=musl-gcc -O2', name)
    cpSync(path, join(folder, name))
  }
  return folder
}

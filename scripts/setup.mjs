// Brings a checkout to the point where everything in it runs, and does nothing where nothing has changed.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { binaryName, thisPlatform } from './platforms.mjs'
import { ask, Failure, root, run } from './process.mjs'

const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

/** The Node that tests and examples run on: the pinned one, which runs TypeScript as it is. */
export const pinnedNode = join(root, 'node_modules', 'node', 'bin', 'node')

/** The packages that bring a C compiler with all that belongs to it: headers of the C library, linker, archiver. */
const compilerPackages =
  'Debian and Ubuntu: apt-get install gcc libc6-dev   Fedora: dnf install gcc   Alpine: apk add build-base'
const missing = {
  cargo: `Rust is missing: there is no \`cargo\` on the PATH, or it does not work.
  Install it with rustup (https://rustup.rs), or with your system's packages if those have Rust 1.89 or newer.`,
  cc: `A C compiler is missing: there is no \`cc\` on the PATH.
  ${compilerPackages}`,
  linking: `The C compiler, \`cc\`, makes no programs: headers of the C library, or the linker, are missing.
  ${compilerPackages}`,
  ar: `The archiver that belongs to a C compiler is missing: there is no \`ar\` on the PATH.
  Debian and Ubuntu: apt-get install binutils   Fedora: dnf install binutils   Alpine: apk add binutils`,
  network: `  If the network is the reason: everything comes from the npm registry and from crates.io, and is kept; after the first
  time nothing is fetched. Behind a proxy, set HTTPS_PROXY; for a mirror, see npm's setting \`registry\` and cargo's
  \`source\`.`,
}

/** Dependencies, native module and compiled TypeScript: all that a user of the package would have. */
export function prepare() {
  checkTools()
  installDependencies()
  fetchCrates()
  buildNative()
  buildTypeScript()
}

/** Says what has to be installed by hand, all at once. */
export function checkTools() {
  const problems = [...nodeProblems(), ...rustProblems(), ...compilerProblems()]
  if (problems.length > 0) throw new Failure(problems.join('\n'))
}

function nodeProblems() {
  const { node } = process.versions
  return isAtLeast(node, 20, 19) ? [] : [`Node ${node} is too old: 20.19 or newer is needed (https://nodejs.org).`]
}

/** A compiler is there, and so is what it needs to make a program and an archive: some systems package them separately. */
function compilerProblems() {
  if (ask('cc', ['--version']) === undefined) return [missing.cc]
  const problems = ask('ar', ['--version']) === undefined ? [missing.ar] : []
  return makesPrograms() ? problems : [missing.linking, ...problems]
}

function makesPrograms() {
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-cc-'))
  try {
    const source = join(folder, 'program.c')
    writeFileSync(source, '#include <stdlib.h>\nint main(void) { return abs(0); }\n')
    return ask('cc', [source, '-o', join(folder, 'program')]) !== undefined
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function rustProblems() {
  const version = ask('cargo', ['--version'])
  if (version === undefined) return [missing.cargo]
  const number = version.split(' ')[1] ?? ''
  // `rust-version` in Cargo.toml; an older cargo does not even understand that file.
  return isAtLeast(number, 1, 89) ? [] : [`Rust ${number} is too old: 1.89 or newer is needed (rustup update).`]
}

/**
 * @param {string} version
 * @param {number} major
 * @param {number} minor
 */
function isAtLeast(version, major, minor) {
  const [itsMajor = 0, itsMinor = 0] = version.split('.').map(Number)
  return itsMajor > major || (itsMajor === major && itsMinor >= minor)
}

/** Installs node_modules as the lock file has it. */
export function installDependencies() {
  unlessFresh(
    'dependencies',
    ['package.json', 'package-lock.json'],
    [join('node_modules', '.package-lock.json')],
    () => {
      console.log('Installing the dependencies (npm ci)…')
      const install = ['ci', '--no-audit', '--no-fund', '--loglevel=error']
      fetching('the dependencies', () => run(npm, install))
    },
  )
}

/** Downloads the crates that anything here is built from, as the lock file has them. */
export function fetchCrates() {
  unlessFresh('crates', ['Cargo.lock'], [], () => {
    // Unlike `cargo fetch`, this leaves alone what only the benchmarks are compared with.
    const ask = ['metadata', '--locked', '--format-version=1']
    fetching('the crates', () => run('cargo', ask, { stdio: ['ignore', 'ignore', 'inherit'] }))
  })
}

/**
 * Runs what needs the network, and says so if it fails.
 *
 * @param {string} what
 * @param {() => void} action
 */
function fetching(what, action) {
  try {
    action()
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    throw new Failure(`${what} cannot be installed: ${error.message}\n${missing.network}`)
  }
}

/** Builds the module that Node loads, its loader and its typings. */
export function buildNative() {
  const inputs = ['Cargo.toml', 'Cargo.lock', 'crates', 'package.json']
  unlessFresh('native', inputs, ['native.cjs', 'native.d.cts', nativeFile()], () => {
    console.log('Building the native module (cargo, release)…')
    run(npm, ['run', '--silent', 'build:native'])
  })
}

/** Compiles index.ts and src to dist. */
export function buildTypeScript() {
  const inputs = ['index.ts', 'src', 'native.d.cts', 'tsconfig.json', 'tsconfig.build.json', 'scripts/build-ts.mjs']
  unlessFresh('typescript', inputs, [join('dist', 'index.js'), join('dist', 'index.d.cts')], () => {
    console.log('Compiling the TypeScript part…')
    run(npm, ['run', '--silent', 'build:ts'])
  })
}

function nativeFile() {
  return binaryName(thisPlatform()?.name ?? `${process.platform}-${process.arch}`)
}

/**
 * Runs `action` unless it ran before with the same inputs and its outputs are still there.
 *
 * cargo would decide as well, but `napi build` makes it compile once more on the second call.
 *
 * @param {string} name
 * @param {string[]} inputs files and folders
 * @param {string[]} outputs
 * @param {() => void} action
 */
function unlessFresh(name, inputs, outputs, action) {
  const stamp = join(root, '.cache', `${name}.stamp`)
  const state = () => fingerprint([...inputs, ...outputs])
  const isFresh = outputs.every(path => existsSync(join(root, path)))
  if (isFresh && existsSync(stamp) && readFileSync(stamp, 'utf8') === state()) return
  action()
  mkdirSync(join(root, '.cache'), { recursive: true })
  writeFileSync(stamp, state())
}

/**
 * Changes whenever a file among `paths` comes, goes or is written.
 *
 * @param {string[]} paths
 */
function fingerprint(paths) {
  const hash = createHash('sha256')
  for (const path of paths) describe(path, line => hash.update(line))
  return hash.digest('hex')
}

/**
 * @param {string} path
 * @param {(line: string) => void} emit
 */
function describe(path, emit) {
  const status = statSync(join(root, path), { throwIfNoEntry: false })
  if (!status) return
  if (!status.isDirectory()) return emit(`${path} ${status.size} ${status.mtimeMs}\n`)
  for (const entry of readdirSync(join(root, path)).sort()) {
    // A crate outside of the workspace, such as a fuzz target, has a build folder of its own.
    if (entry !== 'target') describe(join(path, entry), emit)
  }
}

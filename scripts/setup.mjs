// Brings a checkout to the point where everything in it runs, and does nothing where nothing has changed.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ask, Failure, root, run } from './process.mjs'

const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

/** The Node that tests and examples run on: the pinned one, which runs TypeScript as it is. */
export const pinnedNode = join(root, 'node_modules', 'node', 'bin', 'node')

const missing = {
  cargo: `Rust is missing: there is no \`cargo\` on the PATH.
  Install it with rustup (https://rustup.rs), or with your system's packages if those have Rust 1.90 or newer.`,
  cc: `A C compiler is missing: there is no \`cc\` on the PATH.
  Debian and Ubuntu: apt-get install build-essential   Fedora: dnf install gcc   Alpine: apk add build-base`,
}

/** Dependencies, native module and compiled TypeScript: all that a user of the package would have. */
export function prepare() {
  checkTools()
  installDependencies()
  buildNative()
  buildTypeScript()
}

/** Says what has to be installed by hand, all at once. */
export function checkTools() {
  const problems = []
  if (!isAtLeast(process.versions.node, 20, 19)) {
    problems.push(`Node ${process.versions.node} is too old: 20.19 or newer is needed (https://nodejs.org).`)
  }
  for (const [tool, help] of Object.entries(missing)) {
    const version = ask(tool, ['--version'])
    if (version === undefined) problems.push(help)
    else if (tool === 'cargo') problems.push(...rustProblems(version))
  }
  if (problems.length > 0) throw new Failure(problems.join('\n'))
}

/** @param {string} version what `cargo --version` says */
function rustProblems(version) {
  const number = version.split(' ')[1] ?? ''
  // `rust-version` in Cargo.toml; an older cargo does not even understand that file.
  return isAtLeast(number, 1, 90) ? [] : [`Rust ${number} is too old: 1.90 or newer is needed (rustup update).`]
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
      run(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
    },
  )
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
  const libc = process.platform === 'linux' ? '-gnu' : ''
  return `codeslab.${process.platform}-${process.arch}${libc}.node`
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

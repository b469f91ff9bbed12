// Building for other systems on this machine: Rust's standard library from rustup; and as the linker zig, which pip installs, or a cross
// compiler, where tests need one anyway.

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cache } from './cache.mjs'
import { ask, Failure, root, run } from './process.mjs'

/** Where pip puts zig: paths of such an environment are written into it, so it is made where it stays. */
const environment = join(cache, 'zig')
const zigbuild = join(environment, 'bin', 'cargo-zigbuild')

/**
 * What builds for a target.
 *
 * @typedef {object} Toolchain
 * @property {string} target
 * @property {string} cargo the program
 * @property {string} build what it calls building
 * @property {NodeJS.ProcessEnv} env
 */

/**
 * Sees to it that a target can be built with zig.
 *
 * @param {string} target with the version of glibc that it is built for, if it is not to be the newest: `….2.28`
 * @returns {Toolchain}
 */
export function withZig(target) {
  addTarget(tripleOf(target))
  installZig()
  const env = {
    ...environmentOf(process.env),
    PATH: `${join(environment, 'bin')}:${process.env.PATH ?? ''}`,
    LIBNODE_PATH: libnode(),
    ...dynamicMusl(target),
  }
  return { target, cargo: zigbuild, build: 'zigbuild', env }
}

/**
 * Sees to it that a target can be built with a compiler for it.
 *
 * @param {string} target
 * @param {string} linker the compiler
 * @returns {Toolchain}
 */
export function withCompiler(target, linker) {
  addTarget(target)
  const name = `CARGO_TARGET_${target.toUpperCase().replaceAll('-', '_')}_LINKER`
  return { target, cargo: 'cargo', build: 'build', env: { ...environmentOf(process.env), [name]: linker } }
}

/**
 * Sees to it that a target can be built with what this system itself builds with.
 *
 * @param {string} target
 * @returns {Toolchain}
 */
export function withOwn(target) {
  addTarget(target)
  return { target, cargo: 'cargo', build: 'build', env: environmentOf(process.env) }
}

/** @param {string} target */
function tripleOf(target) {
  return target.replace(/\.\d+\.\d+$/, '')
}

/** @param {NodeJS.ProcessEnv} env */
function environmentOf(env) {
  // Nobody debugs there, and linking takes half as long.
  const profiles = { CARGO_PROFILE_DEV_DEBUG: 'false', CARGO_PROFILE_TEST_DEBUG: 'false' }
  return { ...env, CARGO_TERM_COLOR: 'never', ...profiles }
}

/**
 * Rust links programs for musl statically unless it is told not to, and such a program loads no modules and knows no symbols by name.
 *
 * @param {string} target
 * @returns {NodeJS.ProcessEnv}
 */
function dynamicMusl(target) {
  const variable = `CARGO_TARGET_${target.toUpperCase().replaceAll('-', '_')}_RUSTFLAGS`
  return target.endsWith('-musl') ? { [variable]: '-C target-feature=-crt-static' } : {}
}

/** @param {string} target */
function addTarget(target) {
  const installed = ask('rustup', ['target', 'list', '--installed']) ?? ''
  if (!installed.split('\n').includes(target)) run('rustup', ['target', 'add', target])
}

/** The Python of the environment that zig is in. */
export function python() {
  installZig()
  return join(environment, 'bin', 'python')
}

function installZig() {
  if (existsSync(zigbuild)) return
  rmSync(environment, { recursive: true, force: true })
  mkdirSync(cache, { recursive: true })
  const python = ask('python3', ['--version']) === undefined ? undefined : 'python3'
  if (!python) throw new Failure('this needs Python 3 with venv and pip: apt-get install python3-venv')
  run(python, ['-m', 'venv', environment])
  run(join(environment, 'bin', 'pip'), ['install', '--quiet', 'ziglang', 'cargo-zigbuild'])
}

/**
 * Builds the tests of packages.
 *
 * @param {Toolchain} toolchain
 * @param {string[]} packages
 * @param {string} [workspace] the folder of theirs
 * @returns {{ program: string, folder: string }[]} the programs, each of which runs tests, and the folders of their packages
 */
export function buildTests(toolchain, packages, workspace = root) {
  const built = artifacts(toolchain, ['test', '--no-run', ...packages.map(name => `--package=${name}`)], workspace)
  return built.flatMap(({ profile, executable, manifest_path: manifest }) =>
    profile?.test && executable && manifest ? [{ program: executable, folder: dirname(manifest) }] : [],
  )
}

/**
 * Builds the Node module as tests want it: with what was built for the other tests, and quickly.
 *
 * @param {Toolchain} toolchain
 * @returns {string} the library
 */
export function buildModule(toolchain) {
  return libraryIn(toolchain, artifacts(toolchain, [toolchain.build, '--package', 'codeslab-node']))
}

/**
 * Builds the Node module as it is published.
 *
 * @param {Toolchain} toolchain
 * @returns {string} the library
 */
export function buildRelease({ target, cargo, build, env }) {
  // Apple's systems run what is signed, which the linker does: what is taken out afterwards breaks the signature.
  const strip = target.includes('apple') ? 'none' : 'symbols'
  const profile = { CARGO_PROFILE_RELEASE_DEBUG: 'false', CARGO_PROFILE_RELEASE_STRIP: strip }
  const toolchain = { target, cargo, build, env: { ...env, ...profile } }
  return libraryIn(toolchain, artifacts(toolchain, [build, '--release', '--package', 'codeslab-node']))
}

/**
 * @param {Toolchain} toolchain
 * @param {Artifact[]} built
 */
function libraryIn({ target }, built) {
  const library = built.find(artifact => artifact.target?.crate_types?.includes('cdylib'))
  const file = library?.filenames?.find(name => /\.(?:dll|so|dylib)$/.test(name))
  if (!file) throw new Failure(`the Node module was not built for ${target}`)
  return file
}

/**
 * @typedef {object} Artifact
 * @property {string} [executable]
 * @property {string[]} [filenames]
 * @property {{ test: boolean }} [profile]
 * @property {{ crate_types: string[] }} [target]
 * @property {string} [manifest_path]
 */

/**
 * What cargo says that it built.
 *
 * @param {Toolchain} toolchain
 * @param {string[]} args
 * @param {string} [cwd] the folder of the workspace
 * @returns {Artifact[]}
 */
function artifacts({ cargo, target, env }, args, cwd = root) {
  const all = [...args, '--target', target]
  console.log(`\n> cargo ${all.join(' ')}`)
  const command = [...all, '--message-format=json-render-diagnostics']
  const messages = ask(cargo, command, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] })
  if (messages === undefined) throw new Failure(`cargo ${all.join(' ')} failed`)
  return messages
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line))
}

/** napi-build wants a library to link to, of which nothing is taken: symbols are looked up when the module is loaded. */
function libnode() {
  const folder = join(root, '.cache', 'libnode')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'libnode.dll'), '')
  writeFileSync(join(folder, 'libnode.a'), '!<arch>\n')
  return folder
}

// Building for other systems on this machine: Rust's standard library from rustup, and zig, which pip installs, as the linker.

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cache } from './cache.mjs'
import { ask, Failure, root, run } from './process.mjs'

/** Where pip puts zig: paths of such an environment are written into it, so it is made where it stays. */
const environment = join(cache, 'zig')
const zigbuild = join(environment, 'bin', 'cargo-zigbuild')

/**
 * Sees to it that a target can be built.
 *
 * @param {string} target
 */
export function prepareTarget(target) {
  const installed = ask('rustup', ['target', 'list', '--installed']) ?? ''
  if (!installed.split('\n').includes(target)) run('rustup', ['target', 'add', target])
  if (existsSync(zigbuild)) return
  rmSync(environment, { recursive: true, force: true })
  mkdirSync(cache, { recursive: true })
  const python = ask('python3', ['--version']) === undefined ? undefined : 'python3'
  if (!python) throw new Failure('this needs Python 3 with venv and pip: apt-get install python3-venv')
  run(python, ['-m', 'venv', environment])
  run(join(environment, 'bin', 'pip'), ['install', '--quiet', 'ziglang', 'cargo-zigbuild'])
}

/** The environment in which cargo finds zig. */
export function crossEnvironment() {
  return {
    ...process.env,
    PATH: `${join(environment, 'bin')}:${process.env.PATH ?? ''}`,
    CARGO_TERM_COLOR: 'never',
    LIBNODE_PATH: libnode(),
    // Nobody debugs there, and linking takes half as long.
    CARGO_PROFILE_DEV_DEBUG: 'false',
    CARGO_PROFILE_TEST_DEBUG: 'false',
  }
}

/**
 * Builds the tests of a package.
 *
 * @param {string} target
 * @param {string[]} args
 * @returns {string[]} the programs, each of which runs tests
 */
export function buildTests(target, args) {
  return artifacts(['test', '--no-run', '--target', target, ...args]).flatMap(artifact =>
    artifact.profile?.test && artifact.executable ? [artifact.executable] : [],
  )
}

/**
 * Builds the Node module as tests want it: with what was built for the other tests, and quickly.
 *
 * @param {string} target
 * @returns {string} the library
 */
export function buildModule(target) {
  const built = artifacts(['zigbuild', '--target', target, '--package', 'codeslab-node'])
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
 */

/**
 * What cargo says that it built.
 *
 * @param {string[]} args
 * @returns {Artifact[]}
 */
function artifacts(args) {
  console.log(`\n> cargo ${args.join(' ')}`)
  const messages = capture(zigbuild, [...args, '--message-format=json-render-diagnostics'])
  return messages
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line))
}

/**
 * @param {string} program
 * @param {string[]} args
 */
function capture(program, args) {
  const output = ask(program, args, { env: crossEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] })
  if (output === undefined) throw new Failure(`${program} ${args.join(' ')} failed`)
  return output
}

/** napi-build wants a library to link to, of which nothing is taken: symbols are looked up when the module is loaded. */
function libnode() {
  const folder = join(root, '.cache', 'libnode')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'libnode.dll'), '')
  writeFileSync(join(folder, 'libnode.a'), '!<arch>\n')
  return folder
}

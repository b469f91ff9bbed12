/** What importing says where there is no native module for the system, and where there is one that cannot be loaded. */

import test from 'ava'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { platforms } from '../scripts/platforms.mjs'

const root = resolve(import.meta.dirname, '..')

/** What importing prints in a process that says so of its system: the code and the message of the error. */
function importOn(platform: string, architecture: string, folder = root, environment: NodeJS.ProcessEnv = {}): string {
  const program = `
    Object.defineProperty(process, 'platform', { value: ${JSON.stringify(platform)} })
    Object.defineProperty(process, 'arch', { value: ${JSON.stringify(architecture)} })
    try { require(${JSON.stringify(join(folder, 'load.cjs'))}); console.log('loaded') }
    catch (error) { console.log(error.code, error.message) }`
  return spawnSync(process.execPath, ['-e', program], { encoding: 'utf8', env: { ...process.env, ...environment } })
    .stdout
}

/** The package without its binary: it says that these packages have one, and those that are installed only tell their name. */
function withoutBinary(optionalDependencies: object, installed: readonly string[] = []): string {
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-platforms-'))
  for (const name of ['load.cjs', 'native.cjs']) copyFileSync(join(root, name), join(folder, name))
  const manifest = { name: 'codeslab', napi: { targets: ['x86_64-pc-windows-msvc'] }, optionalDependencies }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  for (const name of installed) {
    const place = join(folder, 'node_modules', name)
    mkdirSync(place, { recursive: true })
    writeFileSync(join(place, 'package.json'), JSON.stringify({ name, version: '0.1.0', main: 'index.js' }))
    writeFileSync(join(place, 'index.js'), `exports.loaded = ${JSON.stringify(name)}\n`)
  }
  return folder
}

for (const [platform, architecture] of [
  ['win32', 'ia32'],
  ['linux', 's390x'],
  ['linux', 'arm'],
  ['freebsd', 'x64'],
] as const) {
  test(`on ${platform} ${architecture} an import names the system, those with a binary, and how to build one`, t => {
    const said = importOn(platform, architecture)
    t.regex(said, /^ERR_CODESLAB_UNSUPPORTED_PLATFORM codeslab has no binary for this system/)
    t.true(said.includes(`${platform}-${architecture}`), said)
    t.regex(said, /there are binaries for .*linux-x64-gnu/)
    t.regex(said, /npm run build/)
    t.notRegex(said, /npm has a bug/)
  })
}

test('where the package of the system was left out, an import says which it is and how it comes back', t => {
  const folder = withoutBinary({ 'codeslab-linux-x64-gnu': '0.1.0' })
  t.teardown(() => {
    rmSync(folder, { recursive: true })
  })
  const said = importOn('linux', 'x64', folder)
  t.regex(said, /package codeslab-linux-x64-gnu .* is not installed.* --omit=optional/)
  t.true(said.includes('(there are packages for linux-x64-gnu)'), said)
  t.regex(importOn('linux', 'arm64', folder), /no binary for this system, linux-arm64-gnu .* for linux-x64-gnu\./)
})

test('the targets that a checkout builds are named as Node names systems', t => {
  const folder = withoutBinary({})
  t.teardown(() => {
    rmSync(folder, { recursive: true })
  })
  t.regex(importOn('linux', 'x64', folder), /there are binaries for win32-x64-msvc\./)
})

test('where the system refuses to load the binary, an import says what the system said', t => {
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-platforms-'))
  t.teardown(() => {
    rmSync(folder, { recursive: true })
  })
  const file = join(folder, 'broken.node')
  writeFileSync(file, 'no machine code')
  const said = importOn('linux', 'x64', withoutBinary({ 'codeslab-linux-x64-gnu': '0.1.0' }), {
    NAPI_RS_NATIVE_LIBRARY_PATH: file,
  })
  t.regex(said, /codeslab-linux-x64-gnu, cannot be loaded: .*broken\.node/)
})

/** A system as a program sees it. */
interface System {
  platform: string
  architecture: string
  /** What `/usr/bin/ldd` holds. */
  ldd?: string
  /** What Node says of how it was built. */
  config?: object
}

/** Which of the packages is loaded in a process that says so of its system, or what importing says. */
function loadedOn({ platform, architecture, ldd = '', config = {} }: System): string {
  const folder = withoutBinary(
    Object.fromEntries(platforms.map(({ name }) => [`codeslab-${name}`, '0.1.0'])),
    platforms.map(({ name }) => `codeslab-${name}`),
  )
  const program = `
    const fs = require('node:fs')
    const { readFileSync } = fs
    fs.readFileSync = (path, ...rest) => path === '/usr/bin/ldd' ? ${JSON.stringify(ldd)} : readFileSync(path, ...rest)
    Object.defineProperty(process, 'platform', { value: ${JSON.stringify(platform)} })
    Object.defineProperty(process, 'arch', { value: ${JSON.stringify(architecture)} })
    Object.defineProperty(process, 'config', { value: { variables: ${JSON.stringify(config)} } })
    try { console.log(require(${JSON.stringify(join(folder, 'load.cjs'))}).loaded) }
    catch (error) { console.log(error.code, error.message) }`
  try {
    return spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' }).stdout.trim()
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const lddOf = { glibc: 'echo "ldd (GNU libc) 2.36"', musl: 'exec /lib/ld-musl-x86_64.so.1 --list "$@"' }

for (const { name, os, cpu, libc, title } of platforms) {
  test(`on ${title} the package codeslab-${name} is loaded, of all that are installed`, t => {
    const ldd = libc === undefined ? {} : { ldd: lddOf[libc] }
    t.is(loadedOn({ platform: os, architecture: cpu, ...ldd }), `codeslab-${name}`)
  })
}

test("for MSYS2's Node there is no binary, and importing says so", t => {
  const said = loadedOn({ platform: 'win32', architecture: 'x64', config: { shlib_suffix: 'dll.a' } })
  t.regex(
    said,
    /^ERR_CODESLAB_UNSUPPORTED_PLATFORM codeslab has no binary for this system, win32-x64-gnu .*win32-x64-msvc/,
  )
})

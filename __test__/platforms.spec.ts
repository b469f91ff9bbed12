/** What importing says where there is no native module for the system, and where there is one that cannot be loaded. */

import test from 'ava'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

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

/** The package without its binary: with these packages beside it that have one. */
function withoutBinary(optionalDependencies: object): string {
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-platforms-'))
  for (const name of ['load.cjs', 'native.cjs']) copyFileSync(join(root, name), join(folder, name))
  const manifest = { name: 'codeslab', napi: { targets: ['x86_64-pc-windows-msvc'] }, optionalDependencies }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  return folder
}

for (const [platform, architecture] of [
  ['darwin', 'arm64'],
  ['win32', 'arm64'],
  ['linux', 's390x'],
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
  t.regex(importOn('linux', 'x64', folder), /package codeslab-linux-x64-gnu .* is not installed.* --omit=optional/)
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

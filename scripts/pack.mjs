// npm run pack: the tarballs as they are published, in .cache/pack: the main package and each platform package of which
// the binary is here, from `npm run build` for this system and from `npm run build:all` for any. `--all` insists on every platform, and on
// the address of the repository (the release does). Without an address they can be installed and not published: npm refuses what is private.

import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { addresses, noAddress } from './address.mjs'
import { binaryName, platforms, thisPlatform } from './platforms.mjs'
import { ask, Failure, main, root } from './process.mjs'

const stage = join(root, '.cache', 'pack')
// What a user's package manager has no use for.
const ours = ['devDependencies', 'scripts', 'ava', 'allowScripts', 'files']

if (process.argv[1] === import.meta.filename) {
  await main(() => {
    for (const tarball of pack({ insistOnAll: process.argv.includes('--all') })) console.log(tarball)
  })
}

/**
 * @param {{ insistOnAll?: boolean, binaries?: Record<string, string> }} [options] binaries: those of platforms that are not taken from
 *   where building leaves them
 * @returns {string[]} the tarballs' paths, the main package first
 */
export function pack({ insistOnAll = false, binaries = {} } = {}) {
  if (insistOnAll && addresses() === undefined) throw new Failure(noAddress)
  rmSync(stage, { recursive: true, force: true })
  const packed = platforms.flatMap(({ name }) => {
    const binary = binaries[name] ?? binaryOf(name)
    if (insistOnAll && binary === undefined) throw new Failure(`the binary of ${name} is missing`)
    return binary === undefined ? [] : [{ name, binary }]
  })
  if (packed.length === 0) throw new Failure('no binary to pack: run npm run build first')
  const folders = [
    stageMain(packed.map(({ name }) => name)),
    ...packed.map(({ name, binary }) => stagePlatform(name, binary)),
  ]
  return folders.map(tarballOf)
}

/**
 * The package of one platform.
 *
 * @param {string} name
 * @param {string} binary
 * @returns {string} the tarball's path
 */
export function packPlatform(name, binary) {
  rmSync(join(stage, name), { recursive: true, force: true })
  return tarballOf(stagePlatform(name, binary))
}

/**
 * The binary of a platform, the newer one where both commands made one: `npm run build` builds for this system alone. What tests for other
 * systems leave beside it is not what is published.
 *
 * @param {string} name
 */
function binaryOf(name) {
  const file = binaryName(name)
  const places = [join(root, 'npm', name, file), ...(thisPlatform()?.name === name ? [join(root, file)] : [])]
  const found = places.filter(path => existsSync(path))
  return found.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0]
}

/**
 * The main package. Its package.json is ours less what only a checkout needs, and names the platform packages: in the
 * checkout they would make `npm ci` look for packages that are not published yet.
 *
 * @param {string[]} names of platforms
 */
function stageMain(names) {
  const folder = join(stage, 'codeslab')
  const manifest = readJson(join(root, 'package.json'))
  for (const path of [...manifest.files, 'README.md', 'LICENSE']) {
    cpSync(join(root, path), join(folder, path), { recursive: true })
  }
  const kept = Object.fromEntries(Object.entries(manifest).filter(([key]) => !ours.includes(key)))
  const optionalDependencies = Object.fromEntries(names.map(name => [`codeslab-${name}`, manifest.version]))
  writeJson(join(folder, 'package.json'), { ...kept, optionalDependencies, ...published() })
  return folder
}

/**
 * What a package.json needs to be published, or what keeps it from that.
 *
 * @param {string} [directory]
 */
function published(directory) {
  return addresses(directory) ?? { private: true }
}

/**
 * @param {string} platform
 * @param {string} binary
 */
function stagePlatform(platform, binary) {
  const folder = join(stage, platform)
  const { version } = readJson(join(root, 'package.json'))
  const manifest = readJson(join(root, 'npm', platform, 'package.json'))
  mkdirSync(folder, { recursive: true })
  writeJson(join(folder, 'package.json'), { ...manifest, version, ...published(`npm/${platform}`) })
  copyFileSync(join(root, 'npm', platform, 'README.md'), join(folder, 'README.md'))
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
  copyFileSync(binary, join(folder, manifest.main))
  strip(join(folder, manifest.main))
  return folder
}

/**
 * Takes out what only a debugger reads. Where there is no tool for the binary's format, it stays in.
 *
 * @param {string} binary
 */
function strip(binary) {
  if (binary.includes('.linux-')) ask('strip', ['--strip-unneeded', binary])
}

/** @param {string} folder */
function tarballOf(folder) {
  const name = ask('npm', ['pack', folder, '--pack-destination', stage, '--loglevel=error'])
  if (name === undefined) throw new Failure(`npm pack failed for ${folder}`)
  return join(stage, /** @type {string} */ (name.split('\n').pop()))
}

/**
 * @param {string} path
 * @returns {any}
 */
function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'))
}

/**
 * @param {string} path
 * @param {unknown} value
 */
function writeJson(path, value) {
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`)
}

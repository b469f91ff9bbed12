// npm run pack: the tarballs as they are published, in .cache/pack: the main package and each platform package of which
// the binary is here. `--all` insists on every platform, and on the address of the repository (the release does).
// Without an address they can be installed and not published: npm refuses what is private.

import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { addresses, noAddress } from './address.mjs'
import { ask, Failure, main, root } from './process.mjs'

const stage = join(root, '.cache', 'pack')
// What a user's package manager has no use for.
const ours = ['devDependencies', 'scripts', 'ava', 'allowScripts', 'files']

if (process.argv[1] === import.meta.filename) {
  await main(() => {
    for (const tarball of pack(process.argv.includes('--all'))) console.log(tarball)
  })
}

/**
 * @param {boolean} insistOnAll
 * @returns {string[]} the tarballs' paths, the main package first
 */
export function pack(insistOnAll = false) {
  if (insistOnAll && addresses() === undefined) throw new Failure(noAddress)
  rmSync(stage, { recursive: true, force: true })
  const platforms = readdirSync(join(root, 'npm')).filter(name => hasBinary(name, insistOnAll))
  if (platforms.length === 0) throw new Failure('no binary to pack: run npm run build first')
  return [stageMain(platforms), ...platforms.map(stagePlatform)].map(tarballOf)
}

/** @param {string} platform */
function binaryOf(platform) {
  const file = `codeslab.${platform}.node`
  return [join(root, 'npm', platform, file), join(root, file)].find(path => existsSync(path))
}

/**
 * @param {string} platform
 * @param {boolean} insist
 */
function hasBinary(platform, insist) {
  if (binaryOf(platform)) return true
  if (insist) throw new Failure(`the binary of ${platform} is missing`)
  return false
}

/**
 * The main package. Its package.json is ours less what only a checkout needs, and names the platform packages: in the
 * checkout they would make `npm ci` look for packages that are not published yet.
 *
 * @param {string[]} platforms
 */
function stageMain(platforms) {
  const folder = join(stage, 'codeslab')
  const manifest = readJson(join(root, 'package.json'))
  for (const path of [...manifest.files, 'README.md', 'LICENSE']) {
    cpSync(join(root, path), join(folder, path), { recursive: true })
  }
  const kept = Object.fromEntries(Object.entries(manifest).filter(([key]) => !ours.includes(key)))
  const optionalDependencies = Object.fromEntries(platforms.map(name => [`codeslab-${name}`, manifest.version]))
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

/** @param {string} platform */
function stagePlatform(platform) {
  const folder = join(stage, platform)
  const { version } = readJson(join(root, 'package.json'))
  const manifest = readJson(join(root, 'npm', platform, 'package.json'))
  mkdirSync(folder, { recursive: true })
  writeJson(join(folder, 'package.json'), { ...manifest, version, ...published(`npm/${platform}`) })
  copyFileSync(join(root, 'npm', platform, 'README.md'), join(folder, 'README.md'))
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
  copyFileSync(/** @type {string} */ (binaryOf(platform)), join(folder, manifest.main))
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

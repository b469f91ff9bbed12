// npm run pack:crates: the Rust crates as they are published, in target/oldest/package, each compiled from its package by the oldest Rust that
// Cargo.toml promises (`rust-version`); in the order in which they depend on each other, which is cargo's to find.
//
// npm run pack:crates -- --dry-run does with them all that publishing does but for the upload (`cargo publish --dry-run`). It asks the registry itself,
// so it fails where a mirror takes the registry's place, which does for everything else.
//
// codeslab-cranelift is a workspace of its own and depends on what is published here, so it is packed once that is.

import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import { ask, Failure, main, root, run } from './process.mjs'

/** What every package has, and what none has a use for. */
const needed = ['LICENSE', 'README.md', 'src/lib.rs']
const unneeded = ['tests/', 'proptest-regressions/']

const dryRun = process.argv.includes('--dry-run')
const command = dryRun ? ['publish', '--dry-run'] : ['package']

await main(() => {
  const folder = join(root, 'target', 'oldest')
  const names = readdirSync(join(root, 'crates')).filter(isPublished)
  for (const name of names) checkFiles(name)
  forget(folder, names)
  const packages = names.flatMap(name => ['--package', name])
  run('cargo', [...command, '--allow-dirty', '--quiet', '--target-dir', folder, ...packages], {
    env: { ...process.env, RUSTC: oldestRust() },
  })
  // A package is compiled where it is unpacked.
  const unpacked = readdirSync(join(folder, 'package'))
  const lacking = names.filter(name => !unpacked.some(one => new RegExp(`^${name}-\\d`).test(one)))
  if (lacking.length > 0) throw new Failure(`cargo did not compile ${lacking.join(', ')}`)
  console.log(`${names.sort().join(' ')}: compiled from their packages${dryRun ? ', and ready to be uploaded' : ''}`)
})

/**
 * Has cargo forget the packages of an earlier run. The registry that it makes of them for those that depend on them is a folder, whose path is
 * the same each time; what it took from there by the same name and version, and what it compiled of that, it takes for the same.
 *
 * @param {string} folder
 * @param {string[]} names
 */
function forget(folder, names) {
  rmSync(folder, { recursive: true, force: true })
  const registry = join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'registry')
  const inside = (/** @type {string} */ path) =>
    existsSync(path) ? readdirSync(path).map(name => join(path, name)) : []
  const isFolders = (/** @type {string} */ path) => basename(path).startsWith('-')
  const kept = ['src', 'cache'].flatMap(kind => inside(join(registry, kind)).filter(isFolders).flatMap(inside))
  for (const path of kept) {
    if (names.some(name => new RegExp(`^${name}-\\d`).test(basename(path)))) rmSync(path, { recursive: true })
  }
}

/** @param {string} name */
function isPublished(name) {
  const manifest = join(root, 'crates', name, 'Cargo.toml')
  return existsSync(manifest) && !readFileSync(manifest, 'utf8').includes('\npublish = false')
}

/** @param {string} name */
function checkFiles(name) {
  const listed = ask('cargo', ['package', '--list', '--allow-dirty', '--package', name])
  if (listed === undefined) throw new Failure(`cargo cannot pack ${name}`)
  const files = listed.split('\n')
  const lacking = needed.filter(file => !files.includes(file))
  if (lacking.length > 0) throw new Failure(`the package of ${name} has no ${lacking.join(', no ')}`)
  const idle = files.filter(file => unneeded.some(start => file.startsWith(start)))
  if (idle.length > 0) throw new Failure(`the package of ${name} has ${idle.join(', ')}`)
}

/** The compiler of the oldest Rust, which rustup installs where it is not there yet. */
function oldestRust() {
  const [, oldest] = /^rust-version = "(.+)"$/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8')) ?? []
  if (oldest === undefined) throw new Failure('Cargo.toml promises no version of Rust')
  const find = () => ask('rustup', ['which', '--toolchain', oldest, 'rustc'])
  const found = find()
  if (found !== undefined) return found
  run('rustup', ['toolchain', 'install', oldest, '--profile', 'minimal'])
  const installed = find()
  if (installed === undefined) throw new Failure(`rustup cannot install Rust ${oldest}`)
  return installed
}

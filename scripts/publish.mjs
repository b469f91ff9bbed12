// npm run release -- FOLDER [--dry-run]: publishes the tarballs in a folder, those of the platforms first, because the main package refers to
// them. Nothing is published unless all of them say where their source is.

import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { noAddress } from './address.mjs'
import { ask, Failure, main, run } from './process.mjs'

await main(() => {
  const [folder = join('.cache', 'pack'), ...options] = process.argv.slice(2)
  const tarballs = readdirSync(folder).filter(name => name.endsWith('.tgz'))
  if (tarballs.length === 0) throw new Failure(`there are no tarballs in ${folder}: npm run pack makes them`)
  const packages = tarballs.map(name => ({ path: resolve(folder, name), manifest: manifestOf(resolve(folder, name)) }))
  for (const { manifest } of packages) checkAddress(manifest)
  packages.sort((a, b) => Number(isMain(a.manifest)) - Number(isMain(b.manifest)))
  for (const { path } of packages) run('npm', ['publish', path, '--access', 'public', ...options])
})

/**
 * @param {string} tarball
 * @returns {Record<string, any>}
 */
function manifestOf(tarball) {
  const text = ask('tar', ['-xzOf', tarball, 'package/package.json'])
  if (text === undefined) throw new Failure(`${tarball} has no package.json`)
  return JSON.parse(text)
}

/** @param {Record<string, any>} manifest */
function checkAddress({ repository, homepage, bugs }) {
  if (!repository?.url || !homepage || !bugs?.url) throw new Failure(noAddress)
}

/** @param {Record<string, any>} manifest */
function isMain({ optionalDependencies }) {
  return optionalDependencies !== undefined
}

// Where tools for other systems are kept between runs, outside of the tree: they are large, and the same for every checkout.

import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { run } from './process.mjs'

/** `CODESLAB_CACHE`, or a folder of the user's. */
export const cache = process.env.CODESLAB_CACHE ?? join(homedir(), '.cache', 'codeslab')

/**
 * A folder in the cache, made if it is not there. What fails half-way leaves nothing that looks whole.
 *
 * @param {string} name
 * @param {(folder: string) => void} make
 */
export function kept(name, make) {
  const folder = join(cache, name)
  if (existsSync(folder)) return folder
  const unfinished = `${folder}.unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { recursive: true })
  make(unfinished)
  renameSync(unfinished, folder)
  return folder
}

/**
 * A package as npm's registry has it, such as a Node for another system.
 *
 * @param {string} name with its version
 */
export function npmPackage(name) {
  return kept(name.replace(/^@/, '').replaceAll(/[@/]/g, '-'), folder => {
    run('npm', ['pack', '--silent', name, '--pack-destination', folder])
    run('sh', ['-c', 'tar -xzf *.tgz --strip-components=1 && rm *.tgz'], { cwd: folder })
  })
}

// Where tools for other systems are kept between runs, outside of the tree: they are large, and the same for every checkout.

import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

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

// Which archives this machine has.

import { closeSync, existsSync, openSync, readSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { Buffer } from 'node:buffer'

/** Where archives are. */
const PLACES = [
  '/usr/lib',
  '/usr/local/lib',
  join(process.env['RUSTUP_HOME'] ?? join(homedir(), '.rustup'), 'toolchains'),
]

/** Every archive once, whatever names it has. What is called one and is a linker script names others, which are found themselves. */
export function findArchives() {
  const named = PLACES.filter(place => existsSync(place)).flatMap(place => filesBelow(place).sort())
  const archives = named.filter(path => /\.(a|rlib)$/.test(path))
  // Links of packages that are not installed lead nowhere.
  const real = new Set(archives.filter(path => existsSync(path)).map(path => realpathSync(path)))
  return [...real].filter(isArchive)
}

/**
 * Links to folders are not followed: they may lead in circles.
 *
 * @param {string} folder
 * @returns {string[]}
 */
function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesBelow(path) : [path]
  })
}

/** @param {string} path */
function isArchive(path) {
  return statSync(path).isFile() && head(path, 8).toString('latin1') === '!<arch>\n'
}

/**
 * The first bytes of a file.
 *
 * @param {string} path
 * @param {number} length
 */
export function head(path, length) {
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(length)
    return bytes.subarray(0, readSync(file, bytes, 0, length, 0))
  } finally {
    closeSync(file)
  }
}

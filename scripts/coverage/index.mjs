// Which archive or shared library defines a symbol: read from the indexes of archives, and from the dynamic symbols of libraries that
// compilers bring along.

import { spawnSync } from 'node:child_process'
import { basename, dirname } from 'node:path'
import { head } from './archives.mjs'

/** Libraries of compilers, which have no archive of their own or are better shared: there is one of each in a process. */
const SHARED = [
  'libstdc++.so.6',
  'libgcc_s.so.1',
  'libm.so.6',
  'libgfortran.so.5',
  'libgomp.so.1',
  'libquadmath.so.0',
  'libatomic.so.1',
]

/** What every process has, and sanitizers, which stand in for it: a second C library knows nothing of what the first one does. */
const C_LIBRARIES = /^lib([cg]|pthread|dl|rt|.*[almt]san(_cxx)?|.*scudo.*|clang_rt.*)\.a$/

/** What a program defines. A library that does as well, such as a test runner's, would only stand for another program. */
const OF_PROGRAMS = ['main', '_start']

/**
 * @typedef {object} Index
 * @property {(symbol: string, near: string) => { file?: string | undefined, library?: string | undefined }} find the
 *   archive that defines a symbol, or the shared library: those first, then archives of a folder, then others
 * @property {(symbol: string) => boolean} isInProcess whether Node or the C library defines it
 */

/**
 * @param {string[]} archives
 * @returns {Index}
 */
export function indexOf(archives) {
  const files = definers(archives.filter(archive => !C_LIBRARIES.test(basename(archive))))
  const inProcess = new Set([process.execPath, 'libc.so.6', 'ld-linux-x86-64.so.2'].flatMap(exportsOf))
  /** @type {Map<string, string>} */
  const libraries = new Map()
  for (const library of SHARED) {
    for (const symbol of exportsOf(library)) if (!libraries.has(symbol)) libraries.set(symbol, library)
  }
  return {
    find(symbol, near) {
      if (OF_PROGRAMS.includes(symbol)) return {}
      const library = libraries.get(symbol)
      if (library !== undefined) return { library }
      const known = files.get(symbol) ?? []
      return { file: known.find(file => dirname(file) === near) ?? known[0] }
    },
    isInProcess: symbol => inProcess.has(symbol),
  }
}

/** @param {string[]} archives */
function definers(archives) {
  /** @type {Map<string, string[]>} */
  const files = new Map()
  for (const archive of archives) {
    for (const symbol of symbolsOf(archive)) {
      const known = files.get(symbol)
      if (known === undefined) files.set(symbol, [archive])
      else known.push(archive)
    }
  }
  return files
}

/**
 * The symbols in the index of an archive.
 *
 * @param {string} path
 */
function symbolsOf(path) {
  const header = head(path, 68)
  const name = header.toString('latin1', 8, 24).trim()
  if (name !== '/' && name !== '/SYM64/') return []
  const table = head(path, 68 + Number(header.toString('latin1', 56, 66))).subarray(68)
  const [width, count] = name === '/' ? [4, table.readUInt32BE(0)] : [8, Number(table.readBigUInt64BE(0))]
  return table
    .toString('utf8', width * (count + 1))
    .split('\0')
    .slice(0, count)
}

/**
 * The dynamic symbols of a shared library or program.
 *
 * @param {string} file a path, or the name of a library that the compiler finds
 */
function exportsOf(file) {
  const { stdout: path } = spawnSync('gcc', [`-print-file-name=${file}`], { encoding: 'utf8' })
  const args = ['-D', '--defined-only', '--without-symbol-versions', path.trim()]
  const { stdout } = spawnSync('nm', args, { encoding: 'utf8', maxBuffer: 2 ** 28 })
  return stdout
    .split('\n')
    .map(line => line.split(' ').at(-1) ?? '')
    .filter(symbol => symbol !== '')
}

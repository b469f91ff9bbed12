// @ts-nocheck: it runs programs and prints a table; types would say nothing that its output does not.
// Which archive or shared library defines a symbol: read from the indexes of archives, and from the dynamic symbols of libraries that
// compilers bring along.

import { spawnSync } from 'node:child_process'
import { openSync, closeSync, readSync } from 'node:fs'
import { dirname } from 'node:path'

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

/** The symbols in the index of an archive. */
function symbolsOf(path) {
  const file = openSync(path, 'r')
  try {
    const header = Buffer.alloc(68)
    readSync(file, header, 0, 68, 0)
    const name = header.toString('latin1', 8, 24).trim()
    const width = { '/': 4, '/SYM64/': 8 }[name]
    if (width === undefined) return []
    const table = Buffer.alloc(Number(header.toString('latin1', 56, 66)))
    readSync(file, table, 0, table.length, 68)
    const count = width === 4 ? table.readUInt32BE(0) : Number(table.readBigUInt64BE(0))
    return table
      .toString('utf8', width * (count + 1))
      .split('\0')
      .slice(0, count)
  } finally {
    closeSync(file)
  }
}

function pathOf(library) {
  const { stdout } = spawnSync('gcc', [`-print-file-name=${library}`], { encoding: 'utf8' })
  return stdout?.trim()
}

function exportsOf(library) {
  const { stdout } = spawnSync(
    'nm',
    ['-D', '--defined-only', '--without-symbol-versions', pathOf(library) ?? library],
    {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    },
  )
  return (stdout ?? '').split('\n').map(line => line.split(' ').at(-1) ?? '')
}

/** Looks symbols up: those of shared libraries first, then archives, nearest first. */
export function indexOf(archives) {
  const files = new Map()
  for (const archive of archives) {
    for (const symbol of symbolsOf(archive)) {
      const known = files.get(symbol)
      if (known === undefined) files.set(symbol, [archive])
      else known.push(archive)
    }
  }
  const libraries = new Map()
  for (const library of SHARED) {
    for (const symbol of exportsOf(library)) if (!libraries.has(symbol)) libraries.set(symbol, library)
  }
  return {
    find(symbol, near) {
      const library = libraries.get(symbol)
      if (library !== undefined) return { library }
      const known = files.get(symbol) ?? []
      return { file: known.find(file => dirname(file) === near) ?? known[0] }
    },
  }
}

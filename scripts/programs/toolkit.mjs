// What programs of the suite are written with.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'

/**
 * A real library, linked whole and called.
 *
 * @typedef {object} Program
 * @property {string} title
 * @property {string[]} archives what has to be there, as the C compiler finds it
 * @property {string} package Debian's package with them
 * @property {() => string | undefined} [lacks] what else is missing
 * @property {(tools: Tools) => void | Promise<void>} run throws if anything is not right
 */

/**
 * @typedef {object} Tools
 * @property {typeof archive} archive
 * @property {typeof compile} compile
 * @property {typeof equal} equal
 * @property {typeof find} find
 * @property {(inputs: Input[], libraries?: string[], options?: Options) => import('../../index.ts').Image} link
 * @property {import('../../index.ts').CodeMemory} memory
 */

/**
 * @typedef {import('../../index.ts').NamedInput} Input
 * @typedef {import('../../index.ts').LinkOptions} Options
 */

/**
 * Where the C compiler finds a file of its libraries; `undefined` if it does not.
 *
 * @param {string} name
 */
export function find(name) {
  if (name.startsWith('/')) return existsSync(name) ? name : undefined
  const { stdout } = spawnSync('cc', [`-print-file-name=${name}`], { encoding: 'utf8' })
  const path = (stdout ?? '').trim()
  return path === name || path === '' ? undefined : path
}

/**
 * An archive of the system, whole.
 *
 * @param {string} name
 * @returns {Input}
 */
export function archive(name) {
  const path = find(name)
  if (path === undefined) throw new Error(`there is no ${name}`)
  return { name: path, bytes: readFileSync(path) }
}

/**
 * An object made of a source file of this folder by the compiler of its language.
 *
 * @param {string} source
 * @param {string[]} flags
 * @returns {Input}
 */
export function compile(source, ...flags) {
  const compiler = extname(source) === '.cpp' ? 'g++' : 'cc'
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-programs-'))
  try {
    const object = join(folder, 'object.o')
    execFileSync(compiler, ['-O1', '-c', ...flags, join(import.meta.dirname, source), '-o', object])
    return { name: source, bytes: readFileSync(object) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/**
 * @param {unknown} actual
 * @param {unknown} expected
 * @param {unknown} [what]
 */
export function equal(actual, expected, what = 'result') {
  if (isDeepStrictEqual(actual, expected)) return
  throw new Error(`${String(what)}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`)
}

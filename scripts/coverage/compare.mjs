// What the system makes of an archive: `ld -r` joins its members, `gcc -shared` makes a library of them, and `dlopen` loads it.

import { rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { root } from '../process.mjs'
import { extended } from './attempt.mjs'
import { finished } from './programs.mjs'

/**
 * @typedef {import('./attempt.mjs').Needs} Needs
 * @typedef {{ loads: true, why?: undefined } | { loads: false, why: string }} Reference
 */

/** How often what is missing is looked up: libraries need libraries. */
const ROUNDS = 12

/**
 * Whether the dynamic linker loads a library of the same members.
 *
 * @param {string} archive
 * @param {Needs} needs what it is linked with at least
 * @param {import('./index.mjs').Index} index
 * @param {string} directory where files may be
 * @returns {Promise<Reference>}
 */
export async function compare(archive, needs, index, directory) {
  const stem = join(directory, `${basename(archive)}-${Math.random().toString(36).slice(2)}`)
  const [object, library] = [`${stem}.o`, `${stem}.so`]
  try {
    const joined = await joinMembers(archive, needs, index, object)
    if ('why' in joined) return refused('ld -r', joined.why, directory)
    const named = joined.shared.map(name => `-l:${name}`)
    // Nothing of codeslab's can be replaced from outside, so nothing is here: that takes code without -fPIC as well.
    const flags = ['-shared', '-Wl,-z,now', '-Wl,-Bsymbolic']
    const made = await finished('gcc', [...flags, '-o', library, object, ...named])
    if (!made.ok) return refused('gcc -shared', made.errors, directory)
    const loaded = await finished(process.execPath, [join(root, 'scripts', 'coverage', 'load.mjs'), library])
    return loaded.ok ? { loads: true } : refused('dlopen', loaded.errors || loaded.how, directory)
  } finally {
    for (const file of [object, library]) rmSync(file, { force: true })
  }
}

/**
 * Joins members to one object, with those of other archives that they need: of more than codeslab found, where it gave up for another
 * reason before it missed anything.
 *
 * @param {string} archive
 * @param {Needs} needs
 * @param {import('./index.mjs').Index} index
 * @param {string} object
 * @returns {Promise<Needs | { why: string }>}
 */
async function joinMembers(archive, needs, index, object) {
  for (let round = 0; ; round++) {
    const libraries = ['--start-group', ...needs.libraries, '--end-group']
    const joined = await finished('ld', [
      '-r',
      '-o',
      object,
      '--whole-archive',
      archive,
      '--no-whole-archive',
      ...libraries,
    ])
    if (!joined.ok) return { why: joined.errors }
    const more = extended(archive, needs, await missingFrom(object, index), index)
    if (more === undefined || round === ROUNDS) return needs
    needs = more
  }
}

/**
 * The symbols that an object needs and this process does not have.
 *
 * @param {string} object
 * @param {import('./index.mjs').Index} index
 */
async function missingFrom(object, index) {
  const { output } = await finished('nm', ['--undefined-only', '--format=posix', object])
  const strong = output.split('\n').map(line => /^(\S+) U/.exec(line)?.[1] ?? '')
  return strong.filter(symbol => symbol !== '' && !index.isInProcess(symbol))
}

/**
 * @param {string} stage
 * @param {string} errors
 * @param {string} directory which says nothing to a reader
 * @returns {Reference}
 */
function refused(stage, errors, directory) {
  const lines = errors.split('\n').filter(line => !/warning:|in function/i.test(line))
  const first = (lines[0] ?? '').replace(/^\S*\bld: /, '').replaceAll(`${directory}/`, '')
  return { loads: false, why: `${stage}: ${first.slice(0, 300)}` }
}

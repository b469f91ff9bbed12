// Linking one archive with codeslab, alone and then with what defines what it lacks.

import { dirname, join } from 'node:path'
import { root } from '../process.mjs'
import { finished } from './programs.mjs'

/** How often what is missing is looked up: libraries need libraries. */
const ROUNDS = 12

/**
 * What is linked beside an archive: paths of archives, and names of shared libraries.
 *
 * @typedef {{ libraries: string[], shared: string[] }} Needs
 */

/**
 * What codeslab says of an archive.
 *
 * @typedef {object} Answer
 * @property {'linked' | 'undefined' | 'refused' | 'crash'} outcome
 * @property {string} [reason] in few words, the same for all that are alike
 * @property {string} [message]
 * @property {readonly string[]} [missing] symbols
 */

/**
 * The module that links, and where symbols are looked for.
 *
 * @typedef {{ module: string, index: import('./index.mjs').Index }} Surroundings
 */

/**
 * Adds libraries for what is missing until nothing is, or nothing helps.
 *
 * @param {string} archive
 * @param {Answer} first what came of the archive alone
 * @param {Surroundings} surroundings
 * @returns {Promise<{ answer: Answer, needs: Needs }>}
 */
export async function complete(archive, first, { module, index }) {
  /** @type {Needs} */
  let needs = { libraries: [], shared: [] }
  let answer = first
  for (let round = 0; round < ROUNDS && answer.outcome === 'undefined'; round++) {
    const more = extended(archive, needs, answer.missing ?? [], index)
    if (more === undefined) break
    needs = more
    answer = await attempt(archive, needs, module)
  }
  return { answer, needs }
}

/**
 * Those libraries and the ones that define these symbols, or `undefined` if there are no others.
 *
 * @param {string} archive
 * @param {Needs} needs
 * @param {readonly string[]} symbols
 * @param {import('./index.mjs').Index} index
 * @returns {Needs | undefined}
 */
export function extended(archive, needs, symbols, index) {
  const [libraries, shared] = [new Set(needs.libraries), new Set(needs.shared)]
  for (const symbol of symbols) {
    const { file, library } = index.find(symbol, dirname(archive))
    if (library !== undefined) shared.add(library)
    else if (file !== undefined && file !== archive) libraries.add(file)
  }
  const isMore = libraries.size + shared.size > needs.libraries.length + needs.shared.length
  return isMore ? { libraries: [...libraries], shared: [...shared] } : undefined
}

/**
 * Links an archive whole in a process of its own, frees it and ends.
 *
 * @param {string} archive
 * @param {Needs} needs
 * @param {string} module
 * @returns {Promise<Answer>}
 */
export async function attempt(archive, { libraries, shared }, module) {
  const program = join(root, 'scripts', 'coverage', 'link.mjs')
  const { status, how, output, errors } = await finished(process.execPath, [
    program,
    module,
    archive,
    ...libraries,
    ...shared,
  ])
  // Linked code prints as well: before, between and after what the program says.
  const answer = [...output.matchAll(/^answer (\{.*\})$/gm)].at(-1)?.[1]
  if (answer !== undefined && (status === 0 || status === 3)) return JSON.parse(answer)
  const stage = [...output.matchAll(/^stage (\w+)$/gm)].at(-1)?.[1] ?? 'start'
  return { outcome: 'crash', reason: `${how} at ${stage}`, message: `${how} at ${stage}: ${errors.trim().slice(-300)}` }
}

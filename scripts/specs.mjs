// The JavaScript tests that are run on machines that this one pretends to be.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, root } from './process.mjs'

const all = readdirSync(join(root, '__test__')).flatMap(file => /^(.+)\.spec\.ts$/.exec(file)?.[1] ?? [])

/** Those that check files of the checkout, which are the same on every machine. */
const ofTree = ['packages', 'packing', 'platforms', 'site', 'tidy']

/** The names of all others. */
export const specs = all.filter(name => !ofTree.includes(name)).sort()

/** @type {import('./counting.mjs').Count} */
export const skippedOfTree = {
  passed: 0,
  failed: 0,
  skipped: [
    `${all.filter(name => ofTree.includes(name)).join(', ')}: they check files of the checkout, which are the same on every machine`,
  ],
}

/**
 * Refuses what nothing is called: nothing would be run, and nothing fail.
 *
 * @param {string[]} asked
 * @param {string[]} known
 */
export function checkAsked(asked, known) {
  const unknown = asked.filter(name => !known.includes(name))
  if (unknown.length > 0) throw new Failure(`there is no ${unknown.join(', ')} among ${known.join(', ')}`)
}

/**
 * What of a kind is asked for: all of it if that or nothing is, and otherwise what is named.
 *
 * @param {string[]} asked
 * @param {string} kind
 * @param {string[]} names
 */
export function chosen(asked, kind, names) {
  return asked.length === 0 || asked.includes(kind) ? names : names.filter(name => asked.includes(name))
}

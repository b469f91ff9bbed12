// The JavaScript tests that are run on machines that this one pretends to be.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './process.mjs'

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

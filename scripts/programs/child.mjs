// Runs one program of the suite: node child.mjs MODULE NAME. What it does at its end, finalizers and exit handlers, is a part of it.

import { pathToFileURL } from 'node:url'
import { programs } from './index.mjs'
import { archive, compile, equal, find } from './toolkit.mjs'

const [module = '', name = ''] = process.argv.slice(2)
/** @type {typeof import('../../index.ts')} */
const { CodeMemory } = await import(pathToFileURL(module).href)
const memory = new CodeMemory()
/** @type {import('./toolkit.mjs').Tools['link']} */
const link = (inputs, libraries = [], options = {}) =>
  memory.link(inputs, { ...options, libraries: libraries.map(library => find(library) ?? library) })
await programs[name]?.run({ archive, compile, equal, find, link, memory })
equal(memory.stats().live, 0, 'images that are left')
console.log('right')

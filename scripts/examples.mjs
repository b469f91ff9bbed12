// The examples that users read, as modules: a block of a guide continues what stands before it, unless it imports the same again, and
// each `@example` is one of its own.

import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './process.mjs'

/** @returns {{ name: string, text: string }[]} */
export function examples() {
  return [...guides(), ...comments()]
}

function guides() {
  return files('docs', '.md').flatMap(({ name, text }) => {
    const blocks = [...text.matchAll(/^```ts\n(.*?)^```/gms)].map(([, block = '']) => block)
    return programs(blocks).map((program, index) => ({ name: `guide-${name}-${index + 1}`, text: asModule(program) }))
  })
}

/**
 * What a reader would type into one file: blocks up to the next that imports again what is there already.
 *
 * @param {string[]} blocks
 */
function programs(blocks) {
  /** @type {string[][]} */
  const all = []
  for (const block of blocks) {
    const last = all.at(-1)
    const known = imports(last?.join('\n') ?? '')
    if (last !== undefined && !imports(block).some(name => known.includes(name))) last.push(block)
    else all.push([block])
  }
  return all.map(program => program.join('\n'))
}

/** @param {string} text */
function imports(text) {
  const lists = [...text.matchAll(/^import (?:type )?\{([^}]*)\}/gm)].map(([, list = '']) => list)
  return lists.flatMap(list => list.split(',').map(name => name.trim()))
}

function comments() {
  return files('src', '.ts').flatMap(({ name, text }) => {
    const blocks = [...text.matchAll(/^ *\* ```ts\n(.*?)^ *\* ```/gms)].map(([, block = '']) => block)
    return blocks.map((block, index) => {
      return { name: `example-${name}-${index + 1}`, text: asModule(block.replaceAll(/^ *\* ?/gm, '')) }
    })
  })
}

/**
 * @param {string} folder
 * @param {string} extension
 */
function files(folder, extension) {
  const names = readdirSync(join(root, folder)).filter(name => name.endsWith(extension))
  return names.map(name => {
    return { name: name.slice(0, -extension.length), text: readFileSync(join(root, folder, name), 'utf8') }
  })
}

/**
 * A file without import or export would share its names with all other files.
 *
 * @param {string} text
 */
function asModule(text) {
  return `${text}\nexport {}\n`
}

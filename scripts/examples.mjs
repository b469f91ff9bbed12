// The examples that users read, as modules: a guide's blocks make one module together, each `@example` one of its own.

import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './process.mjs'

/** @returns {{ name: string, text: string }[]} */
export function examples() {
  return [...guides(), ...comments()]
}

function guides() {
  return files('docs', '.md').map(({ name, text }) => {
    const blocks = [...text.matchAll(/^```ts\n(.*?)^```/gms)].map(([, block = '']) => block)
    return { name: `guide-${name}`, text: asModule(blocks.join('\n')) }
  })
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

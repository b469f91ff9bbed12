// The examples that users read, as programs: a block of a guide continues what stands before it, unless it imports the same again, and
// each `@example` is one of its own.
//
//     node scripts/examples.mjs [NAME…]     runs those of the guides here, in the checkout
//
// A guide is run with the C and C++ files that it shows (their first line is a comment with the name), compiled as a reader would. Where a
// line shows a result, as in `add(40, 2) // 42`, the result is compared.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, main, root, run } from './process.mjs'
import { pinnedNode, prepare } from './setup.mjs'

/** @typedef {{ name: string, text: string, folder?: string }} Example a program, and the folder in which it runs */

if (process.argv[1] === import.meta.filename) {
  await main(() => {
    prepare()
    runGuides(join(root, '.cache', 'examples'), pinnedNode, process.argv.slice(2))
  })
}

/** @returns {Example[]} */
export function examples() {
  return [...guides(), ...comments()]
}

/** @returns {Required<Example>[]} */
function guides() {
  return files('docs', '.md').flatMap(({ name, text }) => {
    const blocks = [...text.matchAll(/^```ts\n(.*?)^```/gms)].map(([, block = '']) => block)
    return programs(blocks).map((program, index) => {
      return { name: `guide-${name}-${index + 1}`, text: asModule(program), folder: name }
    })
  })
}

/**
 * Runs what the guides show, each in a folder of its own in `place`, from which `codeslab` can be imported.
 *
 * @param {string} place
 * @param {string} node
 * @param {string[]} [only] names of guides
 */
export function runGuides(place, node, only = []) {
  const all = guides().filter(({ folder }) => only.length === 0 || only.includes(folder))
  let results = 0
  for (const folder of new Set(all.map(({ folder }) => folder))) compileShown(folder, join(place, folder))
  for (const { name, text, folder } of all) {
    const program = checked(text)
    results += program.results
    const path = join(place, folder, `${name}.mts`)
    writeFileSync(path, program.text)
    run(node, ['--disable-warning=ExperimentalWarning', path], { cwd: join(place, folder), timeout: 120_000 })
  }
  if (all.length === 0) throw new Failure(`there is no guide of that name: ${only.join(', ')}`)
  console.log(`the guides' programs, run: ${all.length}; results compared with those shown: ${results}`)
}

/**
 * Writes the files that a guide shows into a folder, and compiles those of C and C++.
 *
 * @param {string} guide
 * @param {string} folder
 */
function compileShown(guide, folder) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const text = readFileSync(join(root, 'docs', `${guide}.md`), 'utf8')
  const block = /^```(?:c|cpp)\n\/\/ ([\w-]+\.(?:c|cpp|h))(?:, compiled with ([^\n]+))?\n(.*?)^```/gms
  for (const [, name = '', flags, content = ''] of text.matchAll(block)) {
    writeFileSync(join(folder, name), content)
    const compiler = name.endsWith('.c') ? 'cc' : 'c++'
    if (!name.endsWith('.h'))
      execFileSync(compiler, ['-O2', ...(flags?.split(' ') ?? []), '-c', name], { cwd: folder, stdio: 'inherit' })
  }
}

/**
 * A program that compares each result it shows. What stands behind a statement counts as a result where it is a literal.
 *
 * @param {string} text
 */
export function checked(text) {
  const literal = /-?\d[\d_.]*n?|-?0x[\da-f_]+n?|true|false|null|undefined|'[^']*'/
  const statement = /^(\s*)(?!(?:const|let|import|return|throw|console)\b|[\w$]+:|\/\/)([\w$][^]*?);?/
  const shown = new RegExp(`${statement.source} +// (${literal.source})(?=$|[;,:]\\s)`, 'i')
  let results = 0
  const lines = text.split('\n').map(line => {
    const [whole, indent, expression, value] = shown.exec(line) ?? []
    if (whole === undefined || expression?.endsWith(',')) return line
    results += 1
    return `${indent}same(${expression}, ${value}) //${line.slice(whole.length)}`
  })
  const compare = `
function same(found: unknown, shown: unknown) {
  if (!Object.is(found, shown)) throw new Error(\`the guide shows \${String(shown)}, and it is \${String(found)}\`)
}
`
  return { text: lines.join('\n') + (results > 0 ? compare : ''), results }
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

/** @returns {Example[]} */
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

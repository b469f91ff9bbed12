// Links one archive whole, with archives and shared libraries beside it, frees it, and says what came of it. A process for each: what
// crashes, crashes here. node link.mjs MODULE ARCHIVE [LIBRARY...]

import { readFileSync, writeSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const [module = '', archive = '', ...libraries] = process.argv.slice(2)
/** @type {typeof import('../../index.ts')} */
const { CodeMemory, CodeslabError } = await import(pathToFileURL(module).href)

/** Written at once and on a line of its own: a crash must not take it along. @param {string} text */
const say = text => writeSync(1, `\n${text}\n`)

/** @param {import('./attempt.mjs').Answer} answer */
const answer = answer => say(`answer ${JSON.stringify(answer)}`)

try {
  say('stage link')
  const memory = new CodeMemory()
  const image = memory.link({ name: archive, bytes: readFileSync(archive) }, { libraries })
  say('stage symbols')
  image.symbols()
  say('stage free')
  image.free()
  say('stage exit')
  process.on('exit', () => answer({ outcome: 'linked' }))
} catch (error) {
  if (!(error instanceof CodeslabError)) throw error
  answer(refusal(error))
  process.exitCode = 3
}

/**
 * A refusal by what it is about.
 *
 * @param {import('../../index.ts').CodeslabError} error
 * @returns {import('./attempt.mjs').Answer}
 */
function refusal(error) {
  const { feature, symbols } = /** @type {{ feature?: string, symbols?: readonly string[] }} */ (error)
  const code = error.code.replace('ERR_CODESLAB_', '')
  const message = error.message.slice(0, 1000)
  if (code === 'UNDEFINED_SYMBOL') return { outcome: 'undefined', reason: code, message, missing: symbols ?? [] }
  return { outcome: 'refused', reason: feature ?? code, message }
}

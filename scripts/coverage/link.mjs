// Links one archive whole, with archives and shared libraries beside it, frees it, and says what came of it. A process for each: what
// crashes, crashes here. node link.mjs MODULE ARCHIVE [LIBRARY...]

import { once } from 'node:events'
import { readFileSync, writeSync } from 'node:fs'
import { pathToFileURL, URL } from 'node:url'
import { Worker } from 'node:worker_threads'

const [module = '', archive = '', ...libraries] = process.argv.slice(2)
/** @type {typeof import('../../index.ts')} */
const { CodeMemory, CodeslabError } = await import(pathToFileURL(module).href)

/** Written at once and on a line of its own: a crash must not take it along. @param {string} text */
const say = text => writeSync(1, `\n${text}\n`)

/** @param {import('./attempt.mjs').Answer} answer */
const answer = answer => say(`answer ${JSON.stringify(answer)}`)

/** What the process ends with. @type {unknown} */
let held
void held

/** Links the same in a worker, which does not free it. */
async function linkInWorker() {
  const source = `
    import { workerData } from 'node:worker_threads'
    import { readFileSync } from 'node:fs'
    const { CodeMemory } = await import(workerData.module)
    const input = { name: workerData.archive, bytes: readFileSync(workerData.archive) }
    globalThis.held = new CodeMemory().link(input, { libraries: workerData.libraries })
  `
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`)
  const worker = new Worker(url, { workerData: { module: pathToFileURL(module).href, archive, libraries } })
  /** @type {unknown[]} */
  const [error] = await Promise.race([once(worker, 'exit').then(() => []), once(worker, 'error')])
  if (error !== undefined) throw error
}

try {
  say('stage link')
  const memory = new CodeMemory()
  const image = memory.link({ name: archive, bytes: readFileSync(archive) }, { libraries })
  say('stage symbols')
  image.symbols()
  say('stage free')
  image.free()
  // Once more, in a thread that ends with it, and once to be there when the process exits.
  say('stage worker')
  await linkInWorker()
  say('stage hold')
  held = memory.link({ name: archive, bytes: readFileSync(archive) }, { libraries })
  say('stage exit')
  process.on('exit', () => answer({ outcome: 'linked' }))
} catch (error) {
  // A worker's errors are copies of what it threw.
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

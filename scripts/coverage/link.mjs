// @ts-nocheck: it runs programs and prints a table; types would say nothing that its output does not.
// Links one archive whole, with archives and shared libraries beside it, frees it, and says on the last line what came of it. A process
// for each: what crashes, crashes here. node link.mjs ARCHIVE [LIBRARY...] -- [SHARED...]

import { readFileSync, writeSync } from 'node:fs'
import { CodeMemory } from '../../dist/index.js'

const [archive, ...rest] = process.argv.slice(2)
const split = rest.indexOf('--')
const libraries = [...rest.slice(0, split), ...rest.slice(split + 1)]

/** Written at once: a crash must not take it along. */
const say = text => writeSync(1, `${text}\n`)

/** A refusal by what it is about. */
function reason(error) {
  const code = error.code?.replace('ERR_CODESLAB_', '') ?? error.name
  return error.feature ?? (code === 'UNDEFINED_SYMBOL' ? `undefined ${error.symbol}` : code)
}

try {
  say('stage link')
  const memory = new CodeMemory()
  const image = memory.link({ name: archive, bytes: readFileSync(archive) }, { libraries })
  say('stage symbols')
  const count = image.symbols().length
  say('stage free')
  image.free()
  say('stage exit')
  process.on('exit', () => say(JSON.stringify({ outcome: 'linked', count })))
} catch (error) {
  const isUndefined = error.code === 'ERR_CODESLAB_UNDEFINED_SYMBOL'
  const outcome = isUndefined ? 'undefined' : 'refused'
  say(
    JSON.stringify({
      outcome,
      reason: reason(error),
      message: error.message.slice(0, 300),
      missing: error.symbols ?? [],
    }),
  )
  process.exitCode = 3
}

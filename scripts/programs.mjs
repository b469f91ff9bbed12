// Links real libraries whole and calls them: each in a process of its own, with results that are compared with what others say.
//
// npm run test:programs                  all of them
// npm run test:programs -- openssl rust  some
// npm run test:programs -- --module=PATH with that dist/index.js, instead of building this checkout
//
// What is not installed is skipped by name.

import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { finished } from './coverage/programs.mjs'
import { Failure, main, root } from './process.mjs'
import { programs } from './programs/index.mjs'
import { find } from './programs/toolkit.mjs'
import { pinnedNode, prepare } from './setup.mjs'

/** One program links 30 MiB of debug information. */
const PATIENCE = 300_000

await main(async () => {
  const { values, positionals } = parseArgs({ options: { module: { type: 'string' } }, allowPositionals: true })
  if (values.module === undefined) prepare()
  const module = resolve(values.module ?? join(root, 'dist', 'index.js'))
  if (!existsSync(module)) throw new Failure(`there is no ${module}`)
  const names = positionals.length === 0 ? Object.keys(programs) : positionals
  const unknown = names.filter(name => programs[name] === undefined)
  if (unknown.length > 0) throw new Failure(`no ${unknown.join(', ')} among ${Object.keys(programs).join(', ')}`)
  const counts = { passed: 0, failed: 0 }
  const skipped = []
  for (const name of names) {
    const reason = lacks(name)
    if (reason !== undefined) {
      skipped.push(`skipped: ${name}: ${reason}`)
      continue
    }
    const program = join(root, 'scripts', 'programs', 'child.mjs')
    const { ok, how, output, errors } = await finished(pinnedNode, [program, module, name], PATIENCE)
    const isRight = ok && output.includes('right')
    counts[isRight ? 'passed' : 'failed']++
    console.log(`${isRight ? '✔' : '✘'} ${programs[name]?.title}${isRight ? '' : `: ${how}\n${errors}`}`)
  }
  for (const skip of skipped) console.log(skip)
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${skipped.length} skipped`)
  if (counts.failed > 0) process.exitCode = 1
})

/**
 * What a program lacks on this machine; `undefined` if nothing.
 *
 * @param {string} name
 */
function lacks(name) {
  const program = programs[name]
  if (program === undefined) return 'there is no such program'
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'its archives are those of Linux on x86-64'
  const missing = program.archives.find(archive => find(archive) === undefined) ?? program.lacks?.()
  return missing && `${missing} is not installed (Debian: apt-get install ${program.package})`
}

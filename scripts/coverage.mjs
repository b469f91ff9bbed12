// Links every archive that this machine has, each in a process of its own, and compares with what `ld` and `dlopen` do with the same
// members. Installs a list of Debian's packages first where that is possible. Writes docs/coverage.md.
//
// npm run coverage                    all of it
// npm run coverage -- --only=libz.a   archives whose path has this in it, once or more; installs and writes nothing
// npm run coverage -- --no-install    what is there
// npm run coverage -- --module=PATH   with that dist/index.js and what is built beside it, instead of building this checkout

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { findArchives } from './coverage/archives.mjs'
import { attempt, complete } from './coverage/attempt.mjs'
import { compare } from './coverage/compare.mjs'
import { indexOf } from './coverage/index.mjs'
import { installPackages, missingPackages } from './coverage/packages.mjs'
import { table } from './coverage/table.mjs'
import { Failure, main, root, run } from './process.mjs'
import { prepare } from './setup.mjs'

await main(async () => {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      'no-install': { type: 'boolean' },
      jobs: { type: 'string' },
      module: { type: 'string' },
    },
  })
  if (values.module === undefined) prepare()
  const module = resolve(values.module ?? join(root, 'dist', 'index.js'))
  if (!existsSync(module)) throw new Failure(`there is no ${module}`)
  const isWhole = values.only === undefined
  if (isWhole && !values['no-install']) installPackages()
  const archives = findArchives()
  const chosen = archives.filter(path => values.only?.some(part => path.includes(part)) ?? true)
  console.log(`${chosen.length} archives`)
  const results = await examineAll(
    chosen,
    { module, index: indexOf(archives) },
    Number(values.jobs ?? availableParallelism()),
  )
  const text = table(results, missingPackages())
  console.log(`\n${text}`)
  if (isWhole) writeDocument(text)
})

/**
 * @typedef {import('./coverage/attempt.mjs').Surroundings} Surroundings
 * @typedef {import('./coverage/table.mjs').Result} Result
 */

/**
 * @param {string[]} archives
 * @param {Surroundings} surroundings
 * @param {number} jobs
 */
async function examineAll(archives, surroundings, jobs) {
  const directory = mkdtempSync(join(tmpdir(), 'codeslab-coverage-'))
  try {
    return await inTurns(archives, jobs, archive => examine(archive, surroundings, directory))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/**
 * What comes of one archive: alone, with what it needs, and with the system's linker.
 *
 * @param {string} archive
 * @param {Surroundings} surroundings
 * @param {string} directory where files may be
 * @returns {Promise<Result>}
 */
async function examine(archive, surroundings, directory) {
  const alone = await attempt(archive, { libraries: [], shared: [] }, surroundings.module)
  const { answer, needs } = await complete(archive, alone, surroundings)
  const reference = await compare(archive, needs, surroundings.index, directory)
  const result = { ...answer, archive, reference, isAlone: alone.outcome === 'linked' }
  console.log(line(result))
  return result
}

/** @param {Result} result */
function line({ archive, outcome, reason, message, reference }) {
  const why = outcome === 'linked' ? '' : `: ${message ?? reason}`
  const system = reference.loads ? '' : `\n             the system: ${reference.why}`
  return `${reference.loads ? ' ' : '*'} ${outcome.padEnd(10)} ${basename(archive)}${why}${system}`
}

/**
 * Does something for each of many, so many at a time.
 *
 * @template T, R
 * @param {T[]} items
 * @param {number} count
 * @param {(item: T) => Promise<R>} work
 */
async function inTurns(items, count, work) {
  /** @type {R[]} */
  const results = []
  const waiting = items.entries()
  const worker = async () => {
    for (const [index, item] of waiting) results[index] = await work(item)
  }
  await Promise.all(Array.from({ length: count }, worker))
  return results
}

/** @param {string} text */
function writeDocument(text) {
  const path = join(root, 'docs', 'coverage.md')
  writeFileSync(path, text)
  run('npx', ['prettier', '--write', '--log-level', 'warn', path])
}

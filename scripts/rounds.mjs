// Constructors, thread-local objects, exceptions, threads and exit handlers of C++, linked, called and freed from many workers: everything that
// was made is unmade, and memory, descriptors, mappings and unwind tables are back where they were.
//
// npm run test:rounds                        8 workers, 1,000 rounds each
// npm run test:rounds -- --workers=2 --rounds=50
// npm run test:rounds -- --module=PATH       with that dist/index.js, instead of building this checkout

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL, URL } from 'node:url'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { Failure, main, root } from './process.mjs'
import { prepare } from './setup.mjs'

/** How often everything is done before it is measured. */
const WARMING = 4

/** How often it is done at most, until the process grows no more: allocators take a while on a busy machine. What is lost is lost each time. */
const MOST = 12

/** By how many MiB the process may grow. */
const GROWTH = 8

await main(async () => {
  const { values } = parseArgs({
    options: {
      workers: { type: 'string', default: '8' },
      rounds: { type: 'string', default: '1000' },
      module: { type: 'string' },
    },
  })
  if (values.module === undefined) prepare()
  const module = pathToFileURL(resolve(values.module ?? join(root, 'dist', 'index.js'))).href
  /** @type {typeof import('../index.ts')} */
  const { CodeMemory } = await import(module)
  const object = compile('g++', 'rounds.cpp', '-std=c++17', '-fPIC')
  const memory = new CodeMemory()
  const counters = memory.link({ name: 'counters.o', bytes: compile('cc', 'counters.c') })
  const settings = { module, memory: memory.share(), counters: counters.share(), object }
  const [workers, rounds] = [Number(values.workers), Number(values.rounds)]
  // Often enough that allocators and V8 have what they keep for the next thread.
  for (let time = 0; time < WARMING; time++) await run({ ...settings, rounds }, workers)
  let times = WARMING
  const measured = async () => {
    times++
    const [before, start] = [state(memory), performance.now()]
    const addresses = await run({ ...settings, rounds }, workers)
    const seconds = (performance.now() - start) / 1000
    return { before, addresses, seconds, after: state(memory) }
  }
  let batch = await measured()
  while (batch.after.mebibytes - batch.before.mebibytes > GROWTH && times < MOST) batch = await measured()
  const { before, after, addresses, seconds } = batch
  const total = times * workers * rounds
  const read = (/** @type {string} */ name) => Number(counters.data(name, 'int64').value)
  // Each round has one object of the image, and one of each of two threads.
  const expected = { constructed: total, destroyed: total, left: total, made: 2 * total, unmade: 2 * total }
  for (const [name, count] of Object.entries(expected)) check(name, read(name), count)
  for (const name of /** @type {const} */ (['descriptors', 'live', 'usedBytes', 'threads']))
    check(name, after[name], before[name])
  const isKnown = counters.function('is_known', { return: 'int32', arguments: ['uint64'] })
  check('unwind tables', addresses.filter(address => isKnown(address) !== 0).length, 0)
  const grown = after.mebibytes - before.mebibytes
  if (grown > GROWTH) throw new Failure(`${grown.toFixed(1)} MiB more than before`)
  if (after.mappings - before.mappings > 100)
    throw new Failure(`${after.mappings - before.mappings} mappings more than before`)
  console.log(`${workers} workers, ${rounds} rounds each, in ${seconds.toFixed(1)} s`)
  console.log(`constructed and destroyed: ${total}, objects of threads: ${2 * total}, exit handlers: ${total}`)
  console.log(`before: ${JSON.stringify(before)}`)
  console.log(`after:  ${JSON.stringify(after)}`)
  console.log('all is as it was')
})

/**
 * @param {object} settings
 * @param {number} count
 * @returns {Promise<bigint[]>} where functions were that are freed
 */
async function run(settings, count) {
  const threads = Array.from({ length: count }, async (_, number) => {
    const worker = new Worker(new URL('rounds/worker.mjs', import.meta.url), { workerData: { ...settings, number } })
    const [[addresses]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
    return addresses
  })
  return (await Promise.all(threads)).flat()
}

/**
 * @param {string} compiler
 * @param {string} source
 * @param {string[]} flags
 */
function compile(compiler, source, ...flags) {
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-rounds-'))
  try {
    const object = join(folder, 'object.o')
    execFileSync(compiler, ['-O1', '-c', ...flags, join(root, 'scripts', 'rounds', source), '-o', object])
    return readFileSync(object)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** @param {import('../index.ts').CodeMemory} memory */
function state(memory) {
  memory.trim()
  const { live, usedBytes } = memory.stats()
  const status = readFileSync('/proc/self/status', 'utf8')
  const number = (/** @type {string} */ key) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1])
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    mappings: readFileSync('/proc/self/maps', 'utf8').trimEnd().split('\n').length,
    threads: number('Threads'),
    mebibytes: number('VmRSS') / 1024,
    live,
    usedBytes,
  }
}

/**
 * @param {string} what
 * @param {number} found
 * @param {number} expected
 */
function check(what, found, expected) {
  if (found !== expected) throw new Failure(`${what}: ${found} instead of ${expected}`)
}

/**
 * Model-based stress: workers place, link, call, check, free and forget at random in memories with every writer; some are terminated
 * in the middle of it, some fork. After each wave nothing may be left, and over all waves the process may not grow.
 *
 * `node --expose-gc __test__/stress/main.ts --minutes 60 --workers 8 --seed 1`; `npm run stress -- --minutes 60` runs it beside the Rust
 * tests of the same kind.
 */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { CodeMemory, type CodeMemoryOptions } from '../../index.ts'
import { compile } from '../helpers/compile.ts'
import { generator } from '../helpers/random.ts'
import { shared, type Orders } from './orders.ts'
import { growth, sample, type Sample } from './samples.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    workers: { type: 'string', default: '8' },
    seed: { type: 'string', default: '1' },
    wave: { type: 'string', default: '15' },
  },
})
const [minutes, crowd, seed, waveSeconds] = [values.minutes, values.workers, values.seed, values.wave].map(Number) as [
  number,
  number,
  number,
  number,
]
const random = generator(seed)
const object = compile(readFileSync(join(import.meta.dirname, 'helper.c'), 'utf8'))

/** A memory for each writer that works here, and for each option that changes what is done to memory. */
function open(): Map<string, CodeMemory> {
  const memories = new Map<string, CodeMemory>()
  const add = (name: string, options: CodeMemoryOptions) => memories.set(name, new CodeMemory(options))
  const { writers, sealing, granularity } = CodeMemory.capabilities()
  for (const { writer } of writers.filter(one => one.available)) {
    add(writer, { writer })
    add(`${writer}, small blocks`, { writer, blockSize: 16 * granularity })
  }
  add('not hardened', { hardened: false })
  add('guard pages', { guardPages: true })
  add('constants with code', { constants: 'with-code' })
  add('quarantine: trapping', { quarantine: 'trapping' })
  add('quarantine: intact', { quarantine: 'intact' })
  if (sealing.writes.available) {
    add('sealed', { sealed: true })
    add('sealed, file-write', { sealed: true, writer: 'file-write' })
  }
  add('with budgets', { maxCommitted: 3 * 2 ** 19, maxMappings: 100 })
  return memories
}

const memories = open()
const helper = new CodeMemory()
const image = helper.link({ name: 'helper.o', bytes: object })
const looking = image.share()
const failures: string[] = []
let steps = 0
let refused = 0
let terminated = 0
let children = 0

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** One worker, from its start to its end. It is told to stop when the wave is over, or terminated before that. */
async function live(until: number): Promise<void> {
  const numbers = new Int32Array(new SharedArrayBuffer(12))
  const orders: Orders = {
    seed: Math.floor(random() * 2 ** 31),
    memories: [...memories.values()].map(memory => memory.share()),
    looking,
    object,
    shared: numbers,
  }
  const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData: orders })
  const exited = once(worker, 'exit')
  worker.on('error', error => failures.push(error.stack ?? error.message))
  // It works for a while, however long this machine takes to start it.
  await Promise.race([once(worker, 'message'), exited])
  const isTerminated = random() < 0.4
  const rest = Math.max(until - Date.now(), 300)
  await setTimeout(isTerminated ? rest * random() : rest)
  if (isTerminated) {
    terminated++
    await worker.terminate()
  } else {
    Atomics.store(numbers, shared.stop, 1)
    await exited
  }
  steps += numbers[shared.steps] ?? 0
  refused += numbers[shared.refused] ?? 0
  if (until - Date.now() > 2000) await live(until)
}

/** A process that Node forks, with memories of its own: nothing of this one is in it. */
async function haveChild(): Promise<void> {
  const child = fork(join(import.meta.dirname, '..', 'helpers', 'only-here.ts'), { silent: true })
  const [status] = (await once(child, 'exit')) as [number | null]
  children++
  if (status !== 0) failures.push(`a child process ended with ${String(status)}`)
}

/** What is left of what workers made, once all have ended. */
async function lookForRests(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.()
    await setTimeout(20)
  }
  for (const [name, memory] of memories) {
    memory.endGracePeriod(memory.beginGracePeriod())
    memory.trim()
    const { live, inFlight, usedBytes } = memory.stats()
    if (live + inFlight + usedBytes > 0)
      failures.push(`${name}: ${live} live, ${inFlight} in flight, ${usedBytes} bytes`)
  }
}

/** One wave of workers. */
async function wave(until: number): Promise<Sample> {
  await Promise.all([...Array.from({ length: crowd }, () => live(until)), haveChild()])
  await lookForRests()
  return sample()
}

say(`${String(crowd)} workers in ${String(memories.size)} memories: ${[...memories.keys()].join('; ')}`)
const end = Date.now() + minutes * 60_000
const samples: Sample[] = []
while (Date.now() < end && failures.length === 0) {
  const now = await wave(Math.min(Date.now() + waveSeconds * 1000, end))
  samples.push(now)
  const { resident, mappings, descriptors } = now
  say(
    `wave ${samples.length}: ${steps} steps, ${refused} refused by budgets, ${terminated} workers terminated, ${children} children, ` +
      `${resident} MiB, ${mappings} mappings, ${descriptors} descriptors`,
  )
}
failures.push(...growth(samples).map(grown => `not flat: ${grown}`))
for (const failure of failures) say(`failure: ${failure}`)
say(`${steps} steps in ${samples.length} waves, ${failures.length} failures`)
process.exitCode = failures.length === 0 ? 0 : 1

import test from 'ava'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { CodeMemory, type CodeMemoryOptions } from '../index.ts'
import { compile } from './helpers/compile.ts'

const WORKERS = 8
const ROUNDS = 2000

const source = `
  #include <stdint.h>
  #include <stdlib.h>
  static int32_t one;
  static void end(void) { one = 0; }
  __attribute__((constructor)) static void start(void) { one = atexit(end) == 0; }
  static const int32_t primes[] = {2, 3, 5, 7, 11, 13, 17, 19};
  static int32_t calls;
  int32_t prime_times(int32_t index, int32_t factor) { calls++; return primes[index & 7] * factor * one; }
  int32_t calls_so_far(void) { return calls; }
  uint32_t mix(const uint8_t *bytes, uint64_t size) {
    uint32_t sum = 7;
    for (uint64_t i = 0; i < size; i++) sum = sum * 31 + bytes[i];
    return sum;
  }
`

/** Lets workers allocate, link, call and free in one memory, and returns how many results of each were right. */
async function hammer(memory: CodeMemory): Promise<unknown[]> {
  const workerData = { token: memory.share(), object: compile(source), rounds: ROUNDS }
  const workers = Array.from(
    { length: WORKERS },
    (_, index) => new Worker(new URL('helpers/hammer.ts', import.meta.url), { workerData: { ...workerData, index } }),
  )
  return Promise.all(workers.map(worker => lastWords(worker)))
}

/** What a worker says, once it has ended. */
async function lastWords(worker: Worker): Promise<unknown> {
  const [[message]] = await Promise.all([once(worker, 'message') as Promise<[unknown]>, once(worker, 'exit')])
  return message
}

const everyRound = Array.from({ length: WORKERS }, () => ({ rounds: ROUNDS, wrong: 0 }))

const variants: Record<string, CodeMemoryOptions> = {
  'by default': {},
  'with blocks of four pages': { blockSize: 4 * CodeMemory.capabilities().granularity },
  'with pages that are made executable': { writer: 'protect' },
}

for (const [title, options] of Object.entries(variants)) {
  test.serial(`${String(WORKERS)} workers allocate, link, call and free in one memory, ${title}`, async t => {
    t.timeout(300_000)
    const memory = new CodeMemory(options)
    t.deepEqual(await hammer(memory), everyRound)
    const { live, inFlight, usedBytes } = memory.stats()
    t.deepEqual({ live, inFlight, usedBytes }, { live: 0, inFlight: 0, usedBytes: 0 })
    t.deepEqual(
      memory.layout().blocks.flatMap(block => block.slabs.flatMap(slab => slab.spans)),
      [],
    )
  })
}

test('what a worker leaves behind is given back when it ends', async t => {
  const memory = new CodeMemory()
  const worker = new Worker(new URL('helpers/leave.ts', import.meta.url), {
    workerData: { token: memory.share(), object: compile(source) },
  })
  t.deepEqual(await lastWords(worker), { live: 2, inFlight: 1 })
  t.is(memory.stats().live, 0)
  t.is(memory.stats().inFlight, 0)
})

test('the library can be loaded by workers alone, again and again', t => {
  const program = fileURLToPath(new URL('helpers/only-here.ts', import.meta.url))
  t.is(execFileSync(process.execPath, ['--no-warnings', program], { encoding: 'utf8' }), '[0,0,0,0,0]')
})

import test from 'ava'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { CodeMemory, Image, type Quarantine } from '../index.ts'
import { compile } from './helpers/compile.ts'
import { answer } from './helpers/machine-code.ts'
import { outcomeOf, run } from './helpers/process.ts'

const waiting = compile(`
  #include <stdint.h>
  // Says that it is there, and stays until another thread sets the second word.
  int32_t wait(volatile int32_t *words) {
    words[0] = 1;
    while (!words[1]);
    return 42;
  }
`)

/** What runs code without codeslab's knowing. */
const visitor = compile(`
  #include <stdint.h>
  #include "thread.h"
  typedef int32_t place(volatile int32_t *words);
  int32_t visit(place *code, volatile int32_t *words) { return code(words); }

  static place *target;
  static thread other;
  static void *run(void *words) { return (void *)(intptr_t)target(words); }
  int32_t start(place *code, volatile int32_t *words) {
    target = code;
    return thread_start(&other, run, (void *)words);
  }
  int32_t finish(void) {
    return (int32_t)(intptr_t)thread_join(&other);
  }
`)

const writers = CodeMemory.capabilities().writers.filter(({ available }) => available)

function place(memory: CodeMemory, size = 1024) {
  return memory.allocate({ text: { protection: 'rx', size } })
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise(resolve => setImmediate(resolve))
}

/** What a worker says, once it has ended. */
async function lastWords(worker: Worker): Promise<unknown> {
  const [[message]] = await Promise.all([once(worker, 'message') as Promise<[unknown]>, once(worker, 'exit')])
  return message
}

for (const { writer } of writers) {
  test(`freed code runs on where it is intact, until its grace period ends, with the writer ${writer}`, async t => {
    const memory = new CodeMemory({ quarantine: 'intact', writer })
    const image = memory.link(waiting)
    const address = image.address('wait')
    const caller = new CodeMemory().link(visitor)
    const words = new Int32Array(new SharedArrayBuffer(8))
    const worker = new Worker(new URL('helpers/visiting.ts', import.meta.url), {
      workerData: { token: caller.share(), address, words },
    })
    const done = lastWords(worker)
    await until(() => Atomics.load(words, 0) === 1)
    image.free()
    t.is(memory.stats().live, 0, 'no JavaScript is in it')
    t.true(memory.stats().quarantinedBytes > 0)
    t.is(memory.find(address)?.protection, 'rx', 'whose it is can still be told')
    const grace = memory.beginGracePeriod()
    for (let round = 0; round < 1000; round++)
      place(memory, 16 + round)
        .finalize()
        .free()
    Atomics.store(words, 1, 1)
    t.deepEqual(await done, { result: 42 })
    memory.endGracePeriod(grace)
    t.is(memory.find(address), undefined)
    memory.endGracePeriod(memory.beginGracePeriod())
    t.is(memory.stats().quarantinedBytes, 0)
  })
}

/** Has a thread that Node knows nothing of run code while that is freed. */
const inThread = (quarantine: Quarantine) => `
  const visitor = new CodeMemory().link(input('visitor.o'))
  const start = visitor.function('start', { return: 'int32', arguments: ['pointer', 'pointer'] })
  const finish = visitor.function('finish', { return: 'int32' })
  const memory = new CodeMemory({ quarantine: '${quarantine}' })
  const image = memory.link(input('waiting.o'))
  const words = new Int32Array(new SharedArrayBuffer(8))
  start(image.address('wait'), words)
  while (Atomics.load(words, 0) === 0);
  image.free()
  Atomics.store(words, 1, 1)
  report(finish())
`

test('a thread in freed code traps, unless that is left intact', t => {
  const files = { 'visitor.o': visitor, 'waiting.o': waiting }
  const endings = (['off', 'trapping', 'intact'] as const).map(quarantine => run(inThread(quarantine), { files }))
  t.deepEqual(endings.map(outcomeOf), ['trap', 'trap', '42'])
})

for (const quarantine of ['trapping', 'intact'] as const) {
  test(`a place is not used again before its grace period ends, and then it is, with quarantine ${quarantine}`, t => {
    const memory = new CodeMemory({ quarantine })
    t.is(memory.quarantine, quarantine)
    const freed = Array.from({ length: 64 }, () => place(memory).finalize())
    const places = new Set(freed.map(({ text }) => text.address))
    for (const allocation of freed) allocation.free()
    t.like(memory.stats(), { live: 0, usedBytes: 0, quarantinedBytes: 64 * 1024 })
    const others = Array.from({ length: 64 }, () => place(memory))
    t.false(others.some(({ text }) => places.has(text.address)))
    memory.endGracePeriod(memory.beginGracePeriod())
    t.is(memory.stats().quarantinedBytes, 0)
    const { committedBytes } = memory.stats()
    const again = Array.from({ length: 64 }, () => place(memory))
    t.true(again.some(({ text }) => places.has(text.address)))
    t.is(memory.stats().committedBytes, committedBytes)
  })
}

test('by default, a place is used again at once', t => {
  const memory = new CodeMemory()
  t.is(memory.quarantine, 'off')
  const freed = Array.from({ length: 64 }, () => place(memory).finalize())
  const places = new Set(freed.map(({ text }) => text.address))
  for (const allocation of freed) allocation.free()
  t.is(memory.stats().quarantinedBytes, 0)
  const again = Array.from({ length: 64 }, () => place(memory))
  t.true(again.some(({ text }) => places.has(text.address)))
  memory.endGracePeriod(memory.beginGracePeriod())
})

test('a grace period covers what was freed before it, and not what was freed after it', t => {
  const memory = new CodeMemory({ quarantine: 'trapping' })
  const free = (size: number) => {
    place(memory, size).finalize().free()
  }
  free(1024)
  const first = memory.beginGracePeriod()
  free(2048)
  const second = memory.beginGracePeriod()
  free(4096)
  t.true(first < second)
  memory.endGracePeriod(first)
  t.is(memory.stats().quarantinedBytes, 2048 + 4096)
  memory.endGracePeriod(first)
  t.is(memory.stats().quarantinedBytes, 2048 + 4096)
  memory.endGracePeriod(second)
  t.is(memory.stats().quarantinedBytes, 4096)
})

test('what is freed in a worker waits as well, and any thread can end its grace period', async t => {
  const memory = new CodeMemory({ quarantine: 'intact' })
  const worker = new Worker(new URL('helpers/freeing.ts', import.meta.url), { workerData: memory.share() })
  const { quarantinedBytes, grace } = (await lastWords(worker)) as { quarantinedBytes: number; grace: bigint }
  t.is(quarantinedBytes, 1024)
  t.is(memory.stats().quarantinedBytes, 1024)
  memory.endGracePeriod(grace)
  t.is(memory.stats().quarantinedBytes, 0)
})

test('code that JavaScript is running is freed when it returns, and waits from then on', async t => {
  const memory = new CodeMemory({ quarantine: 'trapping' })
  const image = memory.link(waiting)
  const words = new Int32Array(new SharedArrayBuffer(8))
  const worker = new Worker(new URL('helpers/waiting.ts', import.meta.url), {
    workerData: { token: image.share(), words },
  })
  const done = lastWords(worker)
  await until(() => Atomics.load(words, 0) === 1)
  image.free()
  t.is(memory.stats().quarantinedBytes, 0, 'it is running')
  const early = memory.beginGracePeriod()
  Atomics.store(words, 1, 1)
  t.deepEqual(await done, { result: 42, after: 'ERR_CODESLAB_FREED' })
  const { quarantinedBytes } = memory.stats()
  t.true(quarantinedBytes > 0)
  memory.endGracePeriod(early)
  t.is(memory.stats().quarantinedBytes, quarantinedBytes, 'it was freed later')
  memory.endGracePeriod(memory.beginGracePeriod())
  t.is(memory.stats().quarantinedBytes, 0)
})

test('functions of what is in quarantine throw all the same', t => {
  const memory = new CodeMemory({ quarantine: 'intact' })
  const inFlight = place(memory)
  inFlight.text.write(answer(7))
  const allocation = inFlight.finalize()
  const seven = allocation.text.function({ return: 'int32' })
  t.is(seven(), 7)
  allocation.free()
  t.throws(() => seven(), { code: 'ERR_CODESLAB_FREED' })
  const image = memory.link(waiting)
  const token = image.share()
  image.free()
  t.throws(() => Image.open(token), { code: 'ERR_CODESLAB_UNKNOWN_TOKEN' })
})

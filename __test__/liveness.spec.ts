import test from 'ava'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { once } from 'node:events'
import { CodeMemory, Image } from '../index.ts'
import { compile } from './helpers/compile.ts'

const waiting = `
  #include <stdint.h>
  // Counts how often it looks, until another thread sets the second word.
  int32_t wait(volatile int32_t *words) {
    int32_t looks = 0;
    words[0] = 1;
    while (!words[1]) looks++;
    return looks > 0 ? 42 : 43;
  }
  int32_t seven(void) { return 7; }
`

test('memory of a call that is running in another thread is released when it returns', async t => {
  const memory = new CodeMemory()
  const image = memory.link({ name: 'waiting.o', bytes: compile(waiting) })
  const words = new Int32Array(new SharedArrayBuffer(8))
  const worker = new Worker(new URL('helpers/waiting.ts', import.meta.url), {
    workerData: { token: image.share(), words },
  })
  const done = once(worker, 'message') as Promise<[unknown]>
  while (Atomics.load(words, 0) === 0) await new Promise(resolve => setImmediate(resolve))
  image.free()
  t.true(image.freed)
  t.is(memory.stats().live, 1, 'the code is still running')
  t.throws(() => image.function('seven', { return: 'int32' }), { code: 'ERR_CODESLAB_FREED' })
  Atomics.store(words, 1, 1)
  t.deepEqual((await done)[0], { result: 42, after: 'ERR_CODESLAB_FREED' })
  t.is(memory.stats().live, 0)
  await worker.terminate()
})

test('a function keeps the code that it calls, and nothing else does', async t => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const memory = new CodeMemory()
  const bytes = compile(waiting)
  const kept = new Set<() => number>()
  const keepSeven = () => kept.add(memory.link({ name: 'seven.o', bytes }).function('seven', { return: 'int32' }))
  keepSeven()
  for (let count = 0; count < 50; count++) {
    memory.link({ name: 'dropped.o', bytes })
    memory.allocate({ text: { protection: 'rx', size: 100 } })
    memory.allocate({ text: { protection: 'rx', size: 100 } }).finalize()
  }
  await settle(collect, () => memory.stats().live <= 1 && memory.stats().inFlight === 0)
  t.is(memory.stats().live, 1)
  t.is(memory.stats().inFlight, 0)
  t.deepEqual(callEach(kept), [7])
  kept.clear()
  await settle(collect, () => memory.stats().live === 0)
  t.is(memory.stats().usedBytes, 0)
})

/** What each function returns. (In a function of its own, so that nothing of it is left on the stack.) */
function callEach(functions: Iterable<() => number>): number[] {
  return Array.from(functions, call => call())
}

/** Collects garbage until finalizers, which Node runs later, have done their work. */
async function settle(collect: () => void, done: () => boolean): Promise<void> {
  for (let round = 0; round < 2000 && !done(); round++) {
    collect()
    await new Promise(resolve => setImmediate(resolve))
  }
}

test('a token stands for a memory while a handle to it lives', t => {
  const memory = new CodeMemory()
  const token = memory.share()
  t.is(memory.share(), token)
  const same = CodeMemory.open(token)
  t.is(same.share(), token)
  memory.allocate({ text: { protection: 'rx', size: 1 } })
  t.is(same.stats().inFlight, 1)
  memory.dispose()
  t.is(CodeMemory.open(token).stats().inFlight, 1)
  t.not(new CodeMemory().share(), token)
})

test('a token of what is gone, of something else or of nothing is refused', t => {
  const memory = new CodeMemory()
  const token = memory.share()
  const image = memory.link({ name: 'seven.o', bytes: compile(waiting) })
  const imageToken = image.share()
  t.is(Image.open(imageToken).function('seven', { return: 'int32' })(), 7)
  t.throws(() => Image.open(token), { code: 'ERR_CODESLAB_UNKNOWN_TOKEN' })
  t.throws(() => CodeMemory.open(imageToken), { code: 'ERR_CODESLAB_UNKNOWN_TOKEN' })
  image.free()
  t.throws(() => Image.open(imageToken), { code: 'ERR_CODESLAB_UNKNOWN_TOKEN' })
  t.throws(() => image.share(), { code: 'ERR_CODESLAB_FREED' })
  memory.dispose()
  const error = t.throws(() => CodeMemory.open(token), { code: 'ERR_CODESLAB_UNKNOWN_TOKEN' })
  t.is((error as unknown as { token: string }).token, token)
  t.throws(() => CodeMemory.open('memory'), { code: 'ERR_CODESLAB_UNKNOWN_TOKEN' })
  t.throws(() => CodeMemory.open(7 as never), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('an image that one thread frees is freed for every thread that has opened it', t => {
  const memory = new CodeMemory()
  const image = memory.link({ name: 'seven.o', bytes: compile(waiting) })
  const same = Image.open(image.share())
  const seven = image.function('seven', { return: 'int32' })
  same.free()
  t.true(image.freed)
  t.throws(() => seven(), { code: 'ERR_CODESLAB_FREED' })
  t.is(memory.stats().live, 0)
})

import test from 'ava'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { CodeMemory, Slot, type Allocation } from '../index.ts'
import { compile } from './helpers/compile.ts'
import { testWith } from './helpers/exceptions.ts'
import { codeOf } from './helpers/hostile.ts'
import { answer, nullary, plus } from './helpers/machine-code.ts'

const place = (memory: CodeMemory, number: number) =>
  memory.allocate({ text: { protection: 'rx', bytes: answer(number) } }).finalize()

test('a slot calls what it leads to, whatever names that', t => {
  const memory = new CodeMemory()
  const [one, two] = [place(memory, 1), place(memory, 2)]
  const slot = memory.slot(one.text)
  const call = slot.function(nullary)
  const { address } = slot
  t.deepEqual([call(), slot.target, call.pointer], [1, one.text.address, address])
  for (const [target, result] of [
    [two.text, 2],
    [one.text.function(nullary), 1],
    [two.text.address, 2],
    [memory.slot(one.text), 1],
  ] as const) {
    slot.replace(target)
    t.deepEqual([call(), slot.address], [result, address])
  }
})

test('machine code that was linked to a slot follows it', t => {
  const memory = new CodeMemory()
  const slot = memory.slot(place(memory, 20).text)
  const object = compile('extern int step(void); int twice(void) { return step() + step() + 2; }')
  const twice = memory.link(object, { externals: { step: slot } }).function('twice', nullary)
  t.is(twice(), 42)
  slot.replace(place(memory, 7).text)
  t.is(twice(), 16)
  const caller = memory.allocate({ text: { protection: 'rx', size: 16 } }, { near: slot })
  t.true(caller.text.address - slot.address < 2n ** 31n)
})

test('what a slot leads to stays while it does, although it is freed or dropped, and goes afterwards', async t => {
  const memory = new CodeMemory()
  const first = place(memory, 1)
  const call = first.text.function(nullary)
  const slot = memory.slot(first.text)
  first.free()
  t.is(codeOf(call), 'ERR_CODESLAB_FREED')
  t.is(slot.function(nullary)(), 1)
  t.is(memory.stats().live, 2, 'the slot, and what it leads to')
  slot.replace(place(memory, 2).text)
  await memory.synchronize()
  t.is(memory.stats().live, 2)
  t.is(slot.function(nullary)(), 2)
  t.is(
    codeOf(() => {
      slot.replace(first.text)
    }),
    'ERR_CODESLAB_FREED',
  )
  t.is(
    codeOf(() => {
      slot.replace(call)
    }),
    'ERR_CODESLAB_FREED',
  )
  t.is(slot.function(nullary)(), 2)
  slot.free()
  t.is(
    codeOf(() => slot.target),
    'ERR_CODESLAB_FREED',
  )
  t.is(
    codeOf(() => {
      slot.free()
    }),
    'ERR_CODESLAB_FREED',
  )
})

test('a target that is none is refused, and the slot stays as it is', t => {
  const memory = new CodeMemory()
  const slot = memory.slot(place(memory, 5).text)
  for (const target of [undefined, null, {}, 'step', () => 0, -1n, 2n ** 64n, { address: 1n }]) {
    t.regex(
      codeOf(() => {
        slot.replace(target as never)
      }),
      /^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/,
    )
    t.regex(
      codeOf(() => memory.slot(target as never)),
      /^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/,
    )
  }
  t.is(slot.function(nullary)(), 5)
  t.is(
    codeOf(() => Slot.open('nonsense')),
    'ERR_CODESLAB_UNKNOWN_TOKEN',
  )
  t.is(
    codeOf(() => Slot.open(place(memory, 1).share())),
    'ERR_CODESLAB_UNKNOWN_TOKEN',
  )
  memory.dispose()
  t.is(
    codeOf(() => memory.slot(1n)),
    'ERR_CODESLAB_CLOSED',
  )
  t.throws(() => memory.synchronize(), { code: 'ERR_CODESLAB_CLOSED' })
})

test('a promise to be in nothing old waits for a call that is running in another thread, and for no other', async t => {
  const memory = new CodeMemory()
  await memory.synchronize()
  const source = 'int wait(volatile int *words) { words[0] = 1; while (!words[1]); return 7; }'
  const image = memory.link({ name: 'waiting.o', bytes: compile(source) })
  const words = new Int32Array(new SharedArrayBuffer(8))
  const worker = new Worker(new URL('helpers/waiting.ts', import.meta.url), {
    workerData: { token: image.share(), words },
  })
  const exited = once(worker, 'exit')
  while (Atomics.load(words, 0) === 0) await new Promise(setImmediate)
  let isOver = false
  const over = memory.synchronize().then(() => (isOver = true))
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
  t.false(isOver)
  Atomics.store(words, 1, 1)
  await over
  await exited
  t.true(isOver)
  t.false(image.freed, 'it was kept for the worker')
})

test('code is replaced 100,000 times under two workers, and no answer is wrong', async t => {
  const memory = new CodeMemory()
  const version = (number: number) => memory.allocate({ text: { protection: 'rx', bytes: plus(number) } }).finalize()
  let current: Allocation & { readonly text: { readonly address: bigint } } = version(0)
  const slot = memory.slot(current.text)
  const object = compile('extern int step(int); int through(int x) { return step(x); }')
  const image = memory.link(object, { externals: { step: slot } })
  // Stop, started, newest version.
  const flags = new Int32Array(new SharedArrayBuffer(12))
  const workers = [undefined, image.share()].map(
    token =>
      new Worker(new URL('helpers/calling.ts', import.meta.url), {
        workerData: { slot: slot.share(), image: token, flags },
      }),
  )
  while (Atomics.load(flags, 1) < 2) await new Promise(setImmediate)
  for (let number = 1; number <= 100_000; number++) {
    const next = version(number)
    Atomics.store(flags, 2, number)
    slot.replace(next.text)
    current.free()
    current = next
    // Programs that replace do so now and then; one that never yields is tried as well.
    if (number % 1000 === 0 && number > 50_000) await new Promise(setImmediate)
  }
  const words = Promise.all(workers.map(worker => once(worker, 'message') as Promise<[Record<string, number>]>))
  Atomics.store(flags, 0, 1)
  for (const [{ calls, wrong }] of await words) {
    t.is(wrong, 0)
    t.true((calls ?? 0) >= 0)
  }
  await memory.synchronize()
  t.false(image.freed || slot.freed)
  t.is(memory.stats().live, 3, 'the slot, the image and the last version')
})

testWith('compiler')('the program of the guide replaces its code under two workers', t => {
  const path = join(import.meta.dirname, '..', 'examples', 'hot-reload.ts')
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', path, '10'], { encoding: 'utf8' })
  t.is(status, 0, stderr)
  t.regex(stdout, /^10 versions, \d+ calls by 2 workers, no wrong answer\n$/)
})

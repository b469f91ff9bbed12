/** What becomes of allocations that are merely dropped. The collector is never called here: it has to be told what they weigh. */

import test from 'ava'
import { setImmediate } from 'node:timers/promises'
import { CodeMemory, type Published, type Section } from '../index.ts'
import { compile } from './helpers/compile.ts'
import { patience } from './helpers/exceptions.ts'
import { answer, nullary } from './helpers/machine-code.ts'
import { run } from './helpers/process.ts'

const SIZE = 2 ** 18
const object = compile('static char large[1 << 20] = {1}; char *f(void) { return large; }')

test('a loop that yields and drops what it made keeps little of it', async t => {
  const memory = new CodeMemory()
  let most = 0
  for (let count = 0; count < 3000; count++) {
    memory.allocate({ state: { protection: 'rw', size: SIZE } }).finalize()
    if (count % 100 === 0) await setImmediate()
    most = Math.max(most, memory.stats().live)
  }
  t.true(most < 1500, String(most))
})

test('a loop that never yields and drops what it made keeps little of it', t => {
  const memory = new CodeMemory()
  let most = 0
  for (let count = 0; count < 3000; count++) {
    memory.allocate({ state: { protection: 'rw', size: SIZE } }).finalize()
    most = Math.max(most, memory.stats().live)
  }
  t.true(most < 1500, String(most))
})

test('a loop that never yields and drops what it published, one by one or many at once, keeps little of it', t => {
  const memory = new CodeMemory()
  const request = { state: { protection: 'rw', size: SIZE } } as const
  let most = 0
  for (let count = 0; count < 1000; count++) {
    memory.publish(request)
    memory.publishAll([request, request])
    most = Math.max(most, memory.stats().live)
  }
  t.true(most < 1500, String(most))
})

test('a loop that never yields and drops what it parsed keeps little of it', t => {
  const { output, complaints } = run(
    `
    const bytes = input('large.o')
    for (let count = 0; count < 1000; count++) CodeMemory.load(bytes)
    report(process.memoryUsage().rss)`,
    { files: { 'large.o': object } },
  )
  t.is(complaints, '')
  t.true(Number(output) < 2 ** 30, output)
})

test('what was published and not looked at before stays while a section or function of it does', async t => {
  const memory = new CodeMemory({ maxCommitted: 2 ** 24 })
  const calls: (() => number)[] = []
  const states: Section[] = []
  for (let index = 0; index < 20; index++) {
    const text = { protection: 'rx', bytes: answer(index) } as const
    const state = { protection: 'rw', bytes: Int32Array.of(index) } as const
    const [one] = memory.publishAll([{ text, state }])
    calls.push(memory.publish({ text }).text.function(nullary))
    states.push(one.state)
  }
  // Fills the budget again and again, so that garbage has to go.
  for (let count = 0; count < 300; count++) {
    memory.publish({ state: { protection: 'rw', size: SIZE } })
    if (count % 100 === 0) await setImmediate()
  }
  calls.forEach((call, index) => {
    t.is(call(), index)
  })
  states.forEach((state, index) => {
    t.is(state.data('int32').value, index)
  })
})

test('numbers of a batch that were freed by hand are used again, and what has them stays when the batch goes', t => {
  const memory = new CodeMemory({ maxCommitted: 2 ** 25 })
  const kept: Published<'state'>[] = []
  const request = (index: number) =>
    ({ state: { protection: 'rw', bytes: Int32Array.of(index), size: 2 ** 16 } }) as const
  for (let round = 0; round < 40; round++) {
    const batch = memory.publishAll(Array.from({ length: 40 }, (_, index) => request(index)))
    // Every second one is freed, and what comes next has its number: alone, and in a batch that is kept.
    batch.forEach((allocation, index) => {
      if (index % 2 === 0) allocation.free()
    })
    for (let index = 0; index < 5; index++) kept.push(memory.publish(request(kept.length)))
    for (const one of memory.publishAll([request(kept.length), request(kept.length + 1)])) kept.push(one)
    // The rest of the batch is dropped: all of these together are more than the budget.
  }
  kept.forEach(({ state }, index) => {
    t.is(state.data('int32').value, index)
  })
  for (const allocation of kept) allocation.free()
  t.true(memory.stats().live < 40 * 20, 'of what was dropped, some went')
})

test('one that is held keeps its batch, and each is freed by itself', t => {
  const memory = new CodeMemory({ maxCommitted: 2 ** 22 })
  const big = { state: { protection: 'rw', size: 2 ** 21 } } as const
  const small = { state: { protection: 'rw', size: 16 } } as const
  const [held] = memory.publishAll([small, big])
  t.throws(() => memory.publish(big), { code: 'ERR_CODESLAB_COMMIT_BUDGET' })
  held.free()
  const [one, two] = [memory.publishAll([big]), memory.publishAll([small])]
  t.is(memory.stats().live, 2, 'with the one that held it, the batch went')
  one[0].free()
  two[0].free()
  t.is(memory.stats().live, 0)
})

test('a budget is not refused for garbage, whether it is published, in flight, an image or held by a function', t => {
  const memory = new CodeMemory({ maxCommitted: 2 ** 25 })
  const kinds: (() => unknown)[] = [
    () => memory.allocate({ state: { protection: 'rw', size: SIZE } }),
    () => memory.allocate({ state: { protection: 'rw', size: SIZE } }).finalize(),
    () => memory.publish({ state: { protection: 'rw', size: SIZE } }),
    () => memory.publishAll([{ state: { protection: 'rw', size: SIZE } }, { more: { protection: 'rw', size: SIZE } }]),
    () =>
      memory
        .allocate({ text: { protection: 'rx', size: SIZE } })
        .finalize()
        .text.function({}),
    () => memory.link(object),
    () => memory.link(object).function('f', { return: 'pointer' }),
  ]
  for (let count = 0; count < 1500; count++) t.truthy(kinds[count % kinds.length]?.())
})

test('what is still held is not collected, and a budget that it fills is refused', t => {
  const memory = new CodeMemory({ maxCommitted: 2 ** 24 })
  const kept: { call: () => number }[] = []
  const fill = () => {
    for (;;) {
      const bytes = Buffer.concat([answer(kept.length), Buffer.alloc(SIZE)])
      kept.push({
        call: memory
          .allocate({ text: { protection: 'rx', bytes } })
          .finalize()
          .text.function(nullary),
      })
    }
  }
  t.throws(fill, { code: 'ERR_CODESLAB_COMMIT_BUDGET' })
  t.true(kept.length > 30)
  kept.forEach(({ call }, index) => {
    t.is(call(), index)
  })
})

test('a program at its budget is refused again and again without spending its time on collections', t => {
  // In a process of its own, by processor time: other test files have threads in this one, and the machine may be busy.
  const { output, complaints } = run(`
    const memory = new CodeMemory({ maxCommitted: 2 ** 22 })
    const kept = []
    const codes = new Set()
    const refuse = () => {
      kept.push(memory.allocate({ state: { protection: 'rw', size: 2 ** 21 } }))
    }
    refuse()
    const before = process.cpuUsage()
    for (let count = 0; count < 2000; count++) codes.add(caught(refuse)?.code)
    const { user, system } = process.cpuUsage(before)
    report({ codes: [...codes], kept: kept.length, milliseconds: (user + system) / 1000 })`)
  t.is(complaints, '')
  const { codes, kept, milliseconds } = JSON.parse(output) as Record<'codes' | 'kept' | 'milliseconds', unknown>
  t.deepEqual(codes, ['ERR_CODESLAB_COMMIT_BUDGET'])
  // 2000 collections of the smallest heap take longer than this.
  t.true(Number(milliseconds) < 2000 * patience, String(milliseconds))
  t.is(kept, 1)
})

test('what was freed is not counted twice when its handle is collected', async t => {
  const memory = new CodeMemory()
  for (let count = 0; count < 3000; count++) {
    const allocation = memory.allocate({ state: { protection: 'rw', size: SIZE } }).finalize()
    allocation.free()
    if (count % 500 === 0) await setImmediate()
  }
  t.is(memory.stats().live, 0)
  let most = 0
  for (let count = 0; count < 2000; count++) {
    memory.allocate({ state: { protection: 'rw', size: SIZE } }).finalize()
    most = Math.max(most, memory.stats().live)
  }
  t.true(most < 1500, String(most))
})

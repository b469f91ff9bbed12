/** Placing and publishing in one step, and what is left of allocations that were freed by hand. */

import test from 'ava'
import { CodeMemory, type Published } from '../index.ts'
import { answer, nullary } from './helpers/machine-code.ts'

test('sections with their bytes are published in one step', t => {
  const memory = new CodeMemory()
  const made = memory.publish({
    text: { protection: 'rx', bytes: answer(42) },
    table: { protection: 'ro', bytes: Float64Array.of(0.5) },
    state: { protection: 'rw', size: 8 },
  })
  t.is(made.text.function(nullary)(), 42)
  t.is(made.table.data('double').value, 0.5)
  t.deepEqual([made.state.size, made.state.protection, made.text.name], [8, 'rw', 'text'])
  t.is(memory.find(made.table)?.address, made.table.address)
  t.is(memory.stats().live, 1)
  t.is(memory.stats().inFlight, 0)
  made.free()
  t.is(memory.stats().live, 0)
})

test('what cannot be published leaves nothing behind', t => {
  const memory = new CodeMemory({ maxCommitted: 2 ** 20 })
  const bytes = answer(1)
  t.throws(() => memory.publish({ text: { protection: 'rx', bytes, size: 1 } }), { code: 'ERR_CODESLAB_OUT_OF_BOUNDS' })
  t.throws(() => memory.publish({ text: { protection: 'rx', bytes, align: 3 } }), {
    code: 'ERR_CODESLAB_INVALID_ALIGNMENT',
  })
  t.throws(() => memory.publish({}), { code: 'ERR_CODESLAB_EMPTY_REQUEST' })
  t.throws(() => memory.publish({ state: { protection: 'rw', size: 2 ** 21 } }), {
    code: 'ERR_CODESLAB_COMMIT_BUDGET',
  })
  t.throws(() => memory.publish({ text: { protection: 'rx', bytes } }, { within: [{ first: 1, last: 0 }] }), {
    code: 'ERR_OUT_OF_RANGE',
  })
  const { live, inFlight, usedBytes } = memory.stats()
  t.deepEqual({ live, inFlight, usedBytes }, { live: 0, inFlight: 0, usedBytes: 0 })
  memory.dispose()
  t.throws(() => memory.publish({ text: { protection: 'rx', bytes } }), { code: 'ERR_CODESLAB_CLOSED' })
})

test('more sections than usual have their bytes and addresses', t => {
  const memory = new CodeMemory()
  const names = Array.from({ length: 200 }, (_, index) => `part${index}`)
  const request = names.map((name, index) => [name, { protection: 'ro', bytes: Uint8Array.of(index) }] as const)
  const made = memory.publish(Object.fromEntries(request))
  names.forEach((name, index) => {
    t.deepEqual([...(made[name]?.read() ?? [])], [index])
  })
  const { text } = memory.publish({ text: { protection: 'rx', bytes: answer(3) } })
  t.is(text.function(nullary)(), 3)
})

test('what was freed is not what is placed afterwards, whatever is done to it', t => {
  const memory = new CodeMemory()
  const inFlight = memory.allocate({
    text: { protection: 'rx', bytes: answer(1) },
    state: { protection: 'rw', size: 8 },
  })
  const freed = inFlight.finalize()
  const { address } = freed.text
  const call = freed.text.function(nullary)
  freed.free()
  const others = Array.from({ length: 50 }, (_, index) =>
    memory.publish({ text: { protection: 'rx', bytes: answer(index) }, state: { protection: 'rw', size: 8 } }),
  )
  const gone = { code: 'ERR_CODESLAB_FREED' }
  const ofFreed: (() => unknown)[] = [
    () => {
      freed.free()
    },
    () => freed.share(),
    () => freed.text.function(nullary),
    () => freed.state.read(),
    () => freed.state.data('int32'),
    () => freed.state.view(),
    () => memory.slot(freed.text),
    () => call(),
  ]
  for (const use of ofFreed) t.throws(use, gone)
  const ofFinalized: (() => unknown)[] = [
    () => inFlight.finalize(),
    () => {
      inFlight.abandon()
    },
    () => {
      inFlight.text.write(answer(2))
    },
    () => {
      inFlight.text.shrink(1)
    },
    () => memory.finalizeAll([inFlight]),
  ]
  for (const use of ofFinalized) t.throws(use, { code: 'ERR_CODESLAB_FINALIZED' })
  t.true(freed.freed)
  t.is(freed.text.address, address)
  others.forEach((other: Published<'text' | 'state'>, index) => {
    t.is(other.text.function(nullary)(), index)
    other.free()
  })
  t.is(memory.stats().live, 0)
})

test('images and slots that were freed say so', t => {
  const memory = new CodeMemory()
  const image = memory.link({
    sections: [{ name: '.text', protection: 'rx', bytes: answer(5) }],
    symbols: [{ name: 'f', section: '.text' }],
  })
  const f = image.function('f', nullary)
  t.is(f(), 5)
  image.free()
  t.throws(
    () => {
      image.free()
    },
    { code: 'ERR_CODESLAB_FREED', message: /the image has been freed/ },
  )
  t.throws(() => image.symbols(), { code: 'ERR_CODESLAB_FREED' })
  t.throws(() => image.function('f', nullary), { code: 'ERR_CODESLAB_FREED' })
  t.throws(() => f(), { code: 'ERR_CODESLAB_FREED' })
  t.true(image.freed)
  const slot = memory.slot(memory.publish({ text: { protection: 'rx', bytes: answer(6) } }).text)
  slot.free()
  t.throws(
    () => {
      slot.free()
    },
    { code: 'ERR_CODESLAB_FREED', message: /slot/ },
  )
})

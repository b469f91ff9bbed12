import test from 'ava'
import { CodeMemory } from '../index.ts'
import { add, answer, binary, nullary } from './helpers/machine-code.ts'

const writers = CodeMemory.capabilities().writers.filter(({ available }) => available)

for (const { writer } of writers) {
  test(`what a section turns out not to need is given back before it is published, with the writer ${writer}`, t => {
    const memory = new CodeMemory({ writer })
    const inFlight = memory.allocate({ text: { protection: 'rx', size: 50_000 } })
    inFlight.text.write(add)
    const { address } = inFlight.text
    const before = memory.stats().usedBytes
    inFlight.text.shrink(add.length)
    t.is(inFlight.text.size, add.length)
    t.is(inFlight.text.address, address)
    t.true(memory.stats().usedBytes < before)
    const { text } = inFlight.finalize()
    t.is(text.size, add.length)
    t.is(text.function(binary)(40, 2), 42)
    // The next allocation may lie right behind, and both still run.
    const next = memory.allocate({ text: { protection: 'rx', size: 4096 } })
    next.text.write(answer(7))
    const { text: seven } = next.finalize()
    t.is(seven.function(nullary)(), 7)
    t.is(text.function(binary)(40, 2), 42)
  })
}

test('nothing can be written or called beyond the new size', t => {
  const inFlight = new CodeMemory().allocate({ text: { protection: 'rx', bytes: Buffer.alloc(64, 0xcc) } })
  const { text } = inFlight
  text.write(add)
  text.shrink(add.length)
  for (const [bytes, offset] of [
    [add.length, 1],
    [1, add.length],
    [64, 0],
  ] as const) {
    const error = t.throws(() => {
      text.write(Buffer.alloc(bytes), offset)
    })
    t.like(error, { code: 'ERR_CODESLAB_OUT_OF_BOUNDS', offset, length: bytes, size: add.length })
  }
  const published = inFlight.finalize().text
  t.throws(() => published.function(binary, add.length), { code: 'ERR_CODESLAB_OUT_OF_BOUNDS' })
  t.is(published.function(binary)(1, 2), 3)
})

test('a section before another of its protection becomes smaller, and the other stays where it is', t => {
  const memory = new CodeMemory()
  const inFlight = memory.allocate({
    first: { protection: 'rx', size: 1024 },
    second: { protection: 'rx', size: 1024 },
  })
  const { address } = inFlight.second
  inFlight.first.write(add)
  inFlight.second.write(answer(5))
  inFlight.first.shrink(add.length)
  t.is(memory.stats().usedBytes, 2048, 'the space between them is lost')
  inFlight.second.shrink(answer(5).length)
  t.is(memory.stats().usedBytes, 1024 + 16)
  const { first, second } = inFlight.finalize()
  t.is(second.address, address)
  t.deepEqual([first.function(binary)(1, 1), second.function(nullary)()], [2, 5])
})

test('a section neither grows nor vanishes, nor shrinks when it is too late', t => {
  const memory = new CodeMemory()
  const inFlight = memory.allocate({ text: { protection: 'rx', size: 64 } })
  const shrink = (size: unknown) => () => {
    inFlight.text.shrink(size as number)
  }
  for (const size of [65, 2 ** 40]) {
    t.like(t.throws(shrink(size)), { code: 'ERR_CODESLAB_OUT_OF_BOUNDS', length: size, size: 64 })
  }
  for (const size of [0, -1, 0.5, NaN, Infinity]) t.throws(shrink(size), { code: 'ERR_CODESLAB_INVALID_SIZE' })
  for (const size of [undefined, '8', 8n]) t.throws(shrink(size), { code: 'ERR_INVALID_ARG_TYPE' })
  t.is(inFlight.text.size, 64)
  shrink(64)()
  shrink(32)()
  inFlight.finalize().free()
  t.throws(shrink(16), { code: 'ERR_CODESLAB_FINALIZED' })
  t.is(inFlight.text.size, 32)
  const abandoned = memory.allocate({ text: { protection: 'rx', size: 64 } })
  abandoned.abandon()
  t.throws(
    () => {
      abandoned.text.shrink(16)
    },
    { code: 'ERR_CODESLAB_ABANDONED' },
  )
  t.is(memory.stats().usedBytes, 0)
})

import test from 'ava'
import { Allocation, CodeMemory, InFlightAllocation, InFlightSection, Section, type Protection } from '../index.ts'
import { add, addInMemory, binary, ret } from './helpers/machine-code.ts'

/** A memory and what its stats say before anything is in it. */
function fresh(): { memory: CodeMemory; assertEmpty: (t: { is: (a: unknown, b: unknown) => void }) => void } {
  const memory = new CodeMemory()
  return {
    memory,
    assertEmpty(t) {
      const { inFlight, live, usedBytes } = memory.stats()
      t.is(`${String(inFlight)} ${String(live)} ${String(usedBytes)}`, '0 0 0')
    },
  }
}

test('code that was written is callable once it is published', t => {
  const { memory, assertEmpty } = fresh()
  const inFlight = memory.allocate({ text: { protection: 'rx', size: 64 } })
  t.true(inFlight instanceof InFlightAllocation)
  t.true(inFlight.text instanceof InFlightSection)
  t.is(memory.stats().inFlight, 1)
  inFlight.text.write(add)
  const allocation = inFlight.finalize()
  t.true(allocation instanceof Allocation)
  t.true(allocation.text instanceof Section)
  t.is(allocation.text.function(binary)(40, 2), 42)
  t.is(memory.stats().live, 1)
  allocation.free()
  assertEmpty(t)
})

test('addresses are final before anything is written', t => {
  const { memory } = fresh()
  const inFlight = memory.allocate({
    text: { protection: 'rx', bytes: add, align: 64 },
    table: { protection: 'ro', bytes: Float64Array.of(1, 2, 3), align: 32 },
    state: { protection: 'rw', size: 4096 },
  })
  const { text, table, state } = inFlight
  const before = [text, table, state].map(({ address, size, protection }) => ({ address, size, protection }))
  t.deepEqual(
    before.map(({ size, protection }) => [size, protection]),
    [
      [add.length, 'rx'],
      [24, 'ro'],
      [4096, 'rw'],
    ],
  )
  t.is(text.address % 64n, 0n)
  t.is(table.address % 32n, 0n)
  const allocation = inFlight.finalize()
  const after = [allocation.text, allocation.table, allocation.state]
  t.deepEqual(
    after.map(({ address, size, protection }) => ({ address, size, protection })),
    before,
  )
})

test('sections of one request reach each other with 32 bits', t => {
  const { memory } = fresh()
  const live = Array.from({ length: 200 }, () =>
    memory.allocate({ text: { protection: 'rx', size: 100_000 }, state: { protection: 'rw', size: 100_000 } }),
  )
  for (const { text, state } of live) {
    const distance = state.address - text.address
    t.is(BigInt.asIntN(32, distance), distance)
  }
})

test('code reads its constants and writes its data', t => {
  const { memory } = fresh()
  const inFlight = memory.allocate({
    text: { protection: 'rx', size: 64 },
    step: { protection: 'ro', bytes: Int32Array.of(5) },
    total: { protection: 'rw', size: 4 },
  })
  const { text, step, total } = inFlight
  text.write(addInMemory(text.address, step.address, total.address))
  const next = inFlight.finalize().text.function({ return: 'int32' })
  t.deepEqual([next(), next(), next()], [5, 10, 15])
})

test('bytes are copied when they are written', t => {
  const { memory } = fresh()
  const bytes = Uint8Array.from(add)
  const inFlight = memory.allocate({ text: { protection: 'rx', bytes } })
  bytes.fill(0xcc)
  const second = Uint8Array.from(add)
  const other = memory.allocate({ text: { protection: 'rx', size: add.length } })
  other.text.write(second)
  second.fill(0xcc)
  t.is(inFlight.finalize().text.function(binary)(1, 2), 3)
  t.is(other.finalize().text.function(binary)(1, 2), 3)
})

test('bytes can be written in pieces and from any view', t => {
  const { memory } = fresh()
  const size = add.length
  const { text, ...rest } = memory.allocate({ text: { protection: 'rx', size } })
  t.deepEqual(Object.keys(rest), [])
  const inFlight = memory.allocate({ text: { protection: 'rx', size } })
  inFlight.text.write(new DataView(add.buffer, 2, size - 2), 2)
  inFlight.text.write(new Uint16Array(add.buffer, 0, 1))
  inFlight.text.write(new ArrayBuffer(0), size)
  const shared = new Uint8Array(new SharedArrayBuffer(1)).fill(add[size - 1] ?? 0)
  inFlight.text.write(shared, size - 1)
  t.is(inFlight.finalize().text.function(binary)(-1, 1), 0)
  t.is(text.size, size)
})

test('a function can begin anywhere in a section', t => {
  const { memory } = fresh()
  const bytes = Buffer.concat([Buffer.alloc(16, 0xcc), add])
  const { text } = memory.allocate({ text: { protection: 'rx', bytes } }).finalize()
  const sum = text.function(binary, 16)
  t.is(sum.pointer, text.address + 16n)
  t.is(sum(20, 22), 42)
})

test('what is abandoned is given back and cannot be used', t => {
  const { memory, assertEmpty } = fresh()
  const inFlight = memory.allocate({ text: { protection: 'rx', bytes: add } })
  inFlight.abandon()
  assertEmpty(t)
  t.throws(
    () => {
      inFlight.text.write(add)
    },
    { code: 'ERR_CODESLAB_ABANDONED' },
  )
  t.throws(() => inFlight.finalize(), { code: 'ERR_CODESLAB_ABANDONED' })
  t.throws(
    () => {
      inFlight.abandon()
    },
    { code: 'ERR_CODESLAB_ABANDONED' },
  )
})

test('what is finalized cannot be written, finalized or abandoned', t => {
  const { memory } = fresh()
  const inFlight = memory.allocate({ text: { protection: 'rx', bytes: add } })
  const allocation = inFlight.finalize()
  for (const action of [
    () => {
      inFlight.text.write(add)
    },
    () => inFlight.finalize(),
    () => {
      inFlight.abandon()
    },
  ]) {
    t.throws(action, { code: 'ERR_CODESLAB_FINALIZED' })
  }
  t.is(allocation.text.function(binary)(1, 1), 2)
})

test('what is freed cannot be called or freed again', t => {
  const { memory, assertEmpty } = fresh()
  const allocation = memory.allocate({ text: { protection: 'rx', bytes: add } }).finalize()
  const sum = allocation.text.function(binary)
  t.false(allocation.freed)
  allocation.free()
  t.true(allocation.freed)
  assertEmpty(t)
  t.throws(() => sum(1, 2), { code: 'ERR_CODESLAB_FREED', message: 'the allocation has been freed' })
  t.throws(() => allocation.text.function(binary), { code: 'ERR_CODESLAB_FREED' })
  t.throws(
    () => {
      allocation.free()
    },
    { code: 'ERR_CODESLAB_FREED' },
  )
})

test('disposal does what is left to do, any number of times', t => {
  const { memory, assertEmpty } = fresh()
  const abandoned = memory.allocate({ text: { protection: 'rx', bytes: add } })
  abandoned[Symbol.dispose]()
  abandoned[Symbol.dispose]()
  const inFlight = memory.allocate({ text: { protection: 'rx', bytes: add } })
  const allocation = inFlight.finalize()
  inFlight[Symbol.dispose]()
  t.is(allocation.text.function(binary)(1, 2), 3)
  allocation[Symbol.dispose]()
  allocation[Symbol.dispose]()
  assertEmpty(t)
})

test('a closed handle refuses everything, and what was made through it stays', t => {
  const memory = new CodeMemory()
  const allocation = memory.allocate({ text: { protection: 'rx', bytes: add } }).finalize()
  const inFlight = memory.allocate({ text: { protection: 'rx', bytes: add } })
  memory.dispose()
  memory[Symbol.dispose]()
  for (const action of [
    () => memory.stats(),
    () => memory.layout(),
    () => memory.find(0n),
    () => memory.beginGracePeriod(),
    () => {
      memory.endGracePeriod(0n)
    },
    () => memory.finalizeAll([inFlight]),
    () => memory.share(),
    () => memory.allocate({ text: { protection: 'rx', size: 1 } }),
    () => memory.link([]),
  ]) {
    t.throws(action, { code: 'ERR_CODESLAB_CLOSED' })
  }
  t.is(allocation.text.function(binary)(40, 2), 42)
  t.is(inFlight.finalize().text.function(binary)(40, 2), 42)
})

test('memory that is given back is used again', t => {
  const { memory } = fresh()
  const place = () => {
    const allocation = memory.allocate({ text: { protection: 'rx', size: 1000 } }).finalize()
    const { address } = allocation.text
    allocation.free()
    return address
  }
  const first = place()
  const { committedBytes } = memory.stats()
  for (let round = 0; round < 1000; round++) place()
  t.is(memory.stats().committedBytes, committedBytes)
  t.is(typeof first, 'bigint')
})

test('the layout shows each span in a slab of its protection', t => {
  const { memory } = fresh()
  const allocation = memory
    .allocate({
      text: { protection: 'rx', size: 100 },
      table: { protection: 'ro', size: 50 },
      state: { protection: 'rw', size: 10 },
    })
    .finalize()
  const slabs = memory.layout().blocks.flatMap(block => block.slabs)
  for (const { address, size, protection } of [allocation.text, allocation.table, allocation.state]) {
    const holding = slabs.filter(slab => slab.address <= address && address < slab.address + BigInt(slab.size))
    t.deepEqual(
      holding.map(slab => slab.protection),
      [protection],
    )
    const spans = holding.flatMap(slab => slab.spans)
    t.true(spans.some(span => span.address <= address && address + BigInt(size) <= span.address + BigInt(span.size)))
  }
})

test('constants share the pages of code where that is asked for', t => {
  const memory = new CodeMemory({ constants: 'with-code' })
  t.is(memory.constants, 'with-code')
  const inFlight = memory.allocate({ text: { protection: 'rx', bytes: add }, table: { protection: 'ro', size: 16 } })
  const protections = new Set<Protection>(
    memory.layout().blocks.flatMap(({ slabs }) => slabs.map(slab => slab.protection)),
  )
  t.false(protections.has('ro'))
  t.is(inFlight.finalize().text.function(binary)(2, 3), 5)
})

test('every writer that works here publishes code that runs', t => {
  for (const { writer, available, reason } of CodeMemory.capabilities().writers) {
    if (!available) {
      t.is(typeof reason, 'string')
      t.throws(() => new CodeMemory({ writer }), { code: 'ERR_CODESLAB_WRITER_UNAVAILABLE' })
      continue
    }
    const memory = new CodeMemory({ writer })
    t.is(memory.writer, writer)
    const inFlight = memory.allocate({
      text: { protection: 'rx', size: add.length },
      table: { protection: 'ro', size: 8 },
      state: { protection: 'rw', size: 8 },
    })
    inFlight.text.write(add)
    t.is(inFlight.finalize().text.function(binary)(40, 2), 42, writer)
  }
})

test('an allocation lies near where it has to', t => {
  const { memory } = fresh()
  const far = new CodeMemory().allocate({ text: { protection: 'rx', size: 1 } }).text.address
  const near = memory.allocate({ text: { protection: 'rx', size: 64 } }, { near: far }).text.address
  t.true(Math.abs(Number(near - far)) <= memory.reach)
  const closer = memory.allocate({ text: { protection: 'rx', size: 64 } }, { near: { address: far, reach: 2 ** 30 } })
  t.true(Math.abs(Number(closer.text.address - far)) <= 2 ** 30)
  // macOS keeps the first 4 GiB clear.
  const first = process.platform === 'darwin' ? 2n ** 32n : 0n
  const last = first + 2n ** 31n - 1n
  const low = memory.allocate({ text: { protection: 'rx', size: 64 } }, { within: [{ first, last }] })
  t.true(low.text.address >= first && low.text.address <= last)
})

test('windows that nothing can lie in are refused with their distance', t => {
  const { memory, assertEmpty } = fresh()
  const request = { text: { protection: 'rx', size: 64 } } as const
  const within = [
    { first: 0x1000, last: 0x1fff },
    { first: 0x3000, last: 0x3fff },
  ]
  const error = t.throws(() => memory.allocate(request, { within }), { code: 'ERR_CODESLAB_CONFLICTING_WINDOWS' })
  t.is((error as unknown as { distance: number }).distance, 0x1001)
  const occupied = t.throws(() => memory.allocate(request, { within: [{ first: 0, last: 100 }] }), {
    code: 'ERR_CODESLAB_OUT_OF_REACH',
  })
  t.like(occupied, { windowFirst: 0n, windowLast: 100n })
  assertEmpty(t)
})

test('what is kept for the next allocation can be given back', t => {
  const memory = new CodeMemory()
  const kept = memory.allocate({ text: { protection: 'rx', bytes: ret } }).finalize()
  memory.trim()
  t.is(memory.stats().live, 1, 'what is in use stays')
  kept.free()
  t.true(memory.stats().reservedBytes > 0)
  memory.trim()
  t.is(memory.stats().reservedBytes, 0)
  t.is(memory.stats().blocks, 0)
  memory.dispose()
  t.throws(
    () => {
      memory.trim()
    },
    { code: 'ERR_CODESLAB_CLOSED' },
  )
})

/** Placing and publishing in one step, and what is left of allocations that were freed by hand. */

import test from 'ava'
import { Allocation, CodeMemory, type Published, type SectionRequest } from '../index.ts'
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

test('many requests are published in one step, each with its own sections', t => {
  const memory = new CodeMemory()
  const one = (index: number) => ({
    text: { protection: 'rx', bytes: answer(index) },
    table: { protection: 'ro', bytes: Float64Array.of(index / 2) },
  })
  const requests = Array.from({ length: 300 }, (_, index) =>
    index % 3 === 0 ? { ...one(index), state: { protection: 'rw', size: 8 } } : one(index),
  ) as Record<'text' | 'table', SectionRequest>[]
  const published = memory.publishAll(requests)
  t.is(published.length, 300)
  t.is(memory.stats().live, 300)
  t.is(memory.stats().inFlight, 0)
  published.forEach((allocation, index) => {
    t.is(allocation.text.function(nullary)(), index)
    t.is(allocation.table.data('double').value, index / 2)
    t.is('state' in allocation, index % 3 === 0)
  })
  published.forEach(allocation => {
    allocation.free()
  })
  t.is(memory.stats().live, 0)
  t.deepEqual(memory.publishAll([]), [])
})

test('many requests are published or none, and nothing is left behind', t => {
  const memory = new CodeMemory({ maxCommitted: 2 ** 20 })
  const good = { text: { protection: 'rx', bytes: answer(1) } } as const
  const refused: [Record<string, SectionRequest>, string][] = [
    [{ text: { protection: 'rx', bytes: answer(1), size: 1 } }, 'ERR_CODESLAB_OUT_OF_BOUNDS'],
    [{ text: { protection: 'rx', bytes: answer(1), align: 3 } }, 'ERR_CODESLAB_INVALID_ALIGNMENT'],
    [{}, 'ERR_CODESLAB_EMPTY_REQUEST'],
    [{ state: { protection: 'rw', size: 2 ** 21 } }, 'ERR_CODESLAB_COMMIT_BUDGET'],
  ]
  for (const first of [good, { text: { ...good.text, name: 'given' } } as const]) {
    for (const [request, code] of refused) {
      t.throws(() => memory.publishAll([first, good, request as typeof good]), { code })
      const { live, inFlight, usedBytes } = memory.stats()
      t.deepEqual({ live, inFlight, usedBytes }, { live: 0, inFlight: 0, usedBytes: 0 })
    }
  }
  t.throws(() => memory.publishAll({ length: 1 } as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => memory.publishAll([good, 7 as never]), { code: 'ERR_INVALID_ARG_TYPE', message: /batch\[1\]/ })
  t.throws(() => memory.publishAll([good], { within: [{ first: 1, last: 0 }] }), { code: 'ERR_OUT_OF_RANGE' })
  memory.dispose()
  t.throws(() => memory.publishAll([good]), { code: 'ERR_CODESLAB_CLOSED' })
})

test('the bytes of many requests arrive, however many they are and wherever they come from', t => {
  const sizes = [
    1,
    4095,
    4096,
    4097,
    100_000,
    ...Array.from({ length: 120 }, (_, index) => 2500 + index),
    0,
    5,
    300_000,
    7,
  ]
  const pattern = (size: number, seed: number, buffer: ArrayBufferLike = new ArrayBuffer(size + 3)) =>
    new Uint8Array(buffer, 3, size).map((_, index) => (index * 31 + seed) % 251)
  const contents = sizes.map((size, seed) => {
    const bytes = pattern(size, seed)
    if (seed % 3 !== 0) return bytes
    const shared = new Uint8Array(new SharedArrayBuffer(size + 3), 3, size)
    shared.set(bytes)
    return shared
  })
  const requests = contents.map(bytes => ({
    table: { protection: 'ro', bytes, size: bytes.length + 1 } as const,
    state: { protection: 'rw', bytes: bytes.subarray(0, 9), size: 9 } as const,
  }))
  const memory = new CodeMemory()
  for (let round = 0; round < 2; round++) {
    memory.publishAll(requests).forEach(({ table, state }, index) => {
      const expected = Buffer.from(contents[index] ?? [])
      t.deepEqual(Buffer.from(table.read(0, expected.length)), expected, `${expected.length} bytes`)
      t.deepEqual(Buffer.from(state.read()), Buffer.concat([expected.subarray(0, 9), Buffer.alloc(9)], 9))
    })
  }
})

test('many requests lie where their placement says, under their names', t => {
  const memory = new CodeMemory()
  const near = memory.publish({ text: { protection: 'rx', bytes: answer(1) } }).text
  const add = (name: string) => ({ text: { protection: 'rx', bytes: answer(2), name } }) as const
  const published = memory.publishAll([add('first'), add('second')], { near: { address: near, reach: 2 ** 24 } })
  const names = published.map(({ text }) => {
    const distance = text.address > near.address ? text.address - near.address : near.address - text.address
    t.true(distance < 2n ** 24n)
    return memory.lookup(text)?.name
  })
  t.deepEqual(names, ['first', 'second'])
})

test('what changes while many requests are read is not published half', t => {
  const memory = new CodeMemory()
  const bytes = new Uint8Array(64).fill(0xc3)
  const detaching = {
    get text(): SectionRequest {
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
      return { protection: 'rx', size: 1 }
    },
  }
  t.throws(() => memory.publishAll([{ text: { protection: 'rx', bytes } }, detaching]), {
    code: 'ERR_INVALID_ARG_VALUE',
  })
  const again = {
    get text(): SectionRequest {
      memory.publishAll([{ state: { protection: 'rw', size: 4096 } }, { table: { protection: 'rw', size: 32 } }])
      return { protection: 'rx', bytes: answer(5) }
    },
  }
  const [one, two] = memory.publishAll([{ text: { protection: 'rx', bytes: answer(4) } }, again])
  t.deepEqual([one.text.function(nullary)(), two.text.function(nullary)()], [4, 5])
  t.is(memory.stats().live, 4)
})

test('sections are made when they are asked for, once, and are what they were when they are asked for late', t => {
  const memory = new CodeMemory()
  const request = { text: { protection: 'rx', bytes: answer(1) }, state: { protection: 'rw', size: 24 } } as const
  const [early, late] = [memory.publish(request), memory.publish(request)]
  t.is(early.text, early.text)
  t.is(late.constructor, Allocation)
  t.true('text' in late && late instanceof Allocation)
  const address = memory.find(late.state)?.address
  const freed = memory.publish(request)
  late.free()
  freed.free()
  t.is(late.state.address, address as bigint)
  t.deepEqual([freed.text.size, freed.state.size, freed.state.protection], [answer(1).length, 24, 'rw'])
  t.true(freed.text.address > 0n)
  t.throws(() => freed.state.read(), { code: 'ERR_CODESLAB_FREED' })
  // The same in flight, where a section becomes smaller before the published one is asked for.
  const inFlight = memory.allocate({ text: { protection: 'rx', size: 64 } })
  inFlight.text.write(answer(7))
  inFlight.text.shrink(answer(7).length)
  const { text } = inFlight.finalize()
  t.deepEqual([text.size, text.function(nullary)()], [answer(7).length, 7])
})

test('allocations of other names are asked in vain, and names without number have sections all the same', t => {
  const memory = new CodeMemory()
  const one = memory.publish({ here: { protection: 'rw', size: 1 }, there: { protection: 'rw', size: 2 } })
  const other = memory.publish({ there: { protection: 'rw', size: 3 } })
  const getter = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(other), 'there')
  const ask = (value: object): unknown =>
    Reflect.get(Object.create(null, { there: getter ?? {} }) as object, 'there', value)
  t.is(ask(other), other.there)
  t.throws(() => ask(one), { instanceOf: TypeError })
  for (let index = 0; index < 600; index++) {
    const name = `name${index}`
    const request = { [name]: { protection: 'rx', bytes: answer(index) } } as const
    const inFlight = memory.allocate(request)
    t.is(inFlight[name]?.size, answer(index).length)
    const allocation = inFlight.finalize()
    t.is(allocation[name]?.function(nullary)(), index)
    t.deepEqual(Object.keys(allocation), [])
    t.is(allocation.constructor, Allocation)
    t.is(memory.publish(request)[name]?.size, answer(index).length)
  }
  t.throws(() => memory.publish({ free: { protection: 'rw', size: 1 } }), { code: 'ERR_CODESLAB_INVALID_SECTION_NAME' })
})

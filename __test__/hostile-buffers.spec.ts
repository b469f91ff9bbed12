/** Buffers that are detached, resized, shared or lied about while they are read. */

import test from 'ava'
import { Worker } from 'node:worker_threads'
import { CodeMemory, type Graph, type LinkInput } from '../index.ts'
import { compile } from './helpers/compile.ts'
import { codeOf, detach, elsewhere, Liar, resizable } from './helpers/hostile.ts'
import { answer, loadByte, nullary } from './helpers/machine-code.ts'

const memory = new CodeMemory()
const object = compile('int seven(void) { return 7; } extern int other(void); int eight(void) { return other() + 1; }')

const { text: peekCode } = memory.allocate({ text: { protection: 'rx', bytes: loadByte } }).finalize()
const peek = peekCode.function({ return: 'uint8', arguments: ['pointer'] })

/** What lies at an address. */
function contentOf({ address, size }: { address: bigint; size: number }): number[] {
  return Array.from({ length: size }, (_, index) => peek(address + BigInt(index)))
}

/** How bytes that are gone are refused. */
const gone = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE' }

test('a call does not get the address of a buffer that a getter of a later argument detaches', t => {
  const sum = memory
    .allocate({ text: { protection: 'rx', bytes: loadByte } })
    .finalize()
    .text.function({ return: 'uint32', arguments: ['pointer', 'pointer'] })
  const attempts: ((run: (bytes: Uint8Array) => void) => [ArrayBufferView | ArrayBuffer, () => void])[] = [
    run => {
      const bytes = new Uint8Array(1 << 20).fill(7)
      return [
        bytes,
        () => {
          run(bytes)
        },
      ]
    },
    run => {
      const bytes = new Uint8Array(1 << 20).fill(7)
      return [
        bytes.buffer,
        () => {
          run(bytes)
        },
      ]
    },
    run => {
      const bytes = new Uint8Array(1 << 20).fill(7)
      return [
        new DataView(bytes.buffer, 8),
        () => {
          run(bytes)
        },
      ]
    },
  ]
  for (const attempt of attempts) {
    for (const evil of [detach, () => undefined]) {
      const [bytes, act] = attempt(evil)
      const trap = Object.defineProperty(() => undefined, 'pointer', { get: () => (act(), 0n) })
      const call = () => sum(bytes, trap as never)
      if (evil === detach) t.throws(call, gone)
      else t.is(call(), 7)
    }
  }
})

test('a call reads an address again if JavaScript has run since, and not the one that was before', t => {
  const bytes = resizable(Uint8Array.of(7, 8, 9, 10))
  const tail = new Uint8Array(bytes.view.buffer, 2, 2)
  const trap = Object.defineProperty(() => undefined, 'pointer', { get: () => (bytes.resize(1), 0n) })
  const first = memory
    .allocate({ text: { protection: 'rx', bytes: loadByte } })
    .finalize()
    .text.function({ return: 'uint8', arguments: ['pointer', 'pointer'] })
  t.is(first(tail, null), 9)
  t.throws(() => first(tail, trap as never), gone, 'it lies outside of its buffer')
  t.is(first(bytes.view, null), 7)
})

test('a detached buffer is no argument, and an empty one is', t => {
  const take = memory
    .allocate({ text: { protection: 'rx', bytes: answer(1) } })
    .finalize()
    .text.function({ return: 'int32', arguments: ['buffer'] })
  const views = (bytes: Uint8Array) => [bytes, bytes.buffer as ArrayBuffer, new DataView(bytes.buffer)]
  for (const index of [0, 1, 2]) {
    const bytes = new Uint8Array(8)
    const view = views(bytes)[index] as Uint8Array
    detach(bytes)
    t.throws(() => take(view), { ...gone, message: /detached/ })
  }
  for (const view of views(new Uint8Array(0))) t.is(take(view), 1)
})

test('code that a getter of an argument frees is not called', t => {
  const allocation = memory.allocate({ text: { protection: 'rx', bytes: answer(1) } }).finalize()
  const call = allocation.text.function({ return: 'int32', arguments: ['pointer'] })
  const trap = Object.defineProperty(() => undefined, 'pointer', { get: () => (allocation.free(), 0n) })
  t.throws(() => call(trap as never), { code: 'ERR_CODESLAB_FREED' })
})

/** Bytes, and what becomes of their buffer. */
const victims: Record<string, () => { bytes: Uint8Array; spoil: () => void }> = {
  detached: () => {
    const bytes = Uint8Array.from(answer(1))
    return {
      bytes,
      spoil: () => {
        detach(bytes)
      },
    }
  },
  shrunk: () => {
    const { view, resize } = resizable(answer(1))
    return {
      bytes: view,
      spoil: () => {
        resize(2)
      },
    }
  },
  grown: () => {
    const { view, resize } = resizable(answer(1))
    return {
      bytes: view,
      spoil: () => {
        resize(100)
      },
    }
  },
}

/** Everything that takes bytes and reads something else after them. */
const uses: ((bytes: Uint8Array, spoil: () => void) => unknown)[] = [
  (bytes, spoil) =>
    memory.allocate({
      text: { protection: 'rx', bytes, size: 64 },
      more: {
        protection: 'rw',
        get size() {
          spoil()
          return 8
        },
      },
    }),
  (bytes, spoil) =>
    memory.allocate(
      { text: { protection: 'rx', bytes } },
      {
        get within() {
          spoil()
          return []
        },
      },
    ),
  (bytes, spoil) =>
    memory.link([bytes], {
      get roots() {
        spoil()
        return []
      },
    }),
  (bytes, spoil) =>
    memory.link([
      { name: 'a.o', bytes },
      {
        get name() {
          spoil()
          return 'b.o'
        },
        bytes: object,
      },
    ]),
]

test('bytes that a later getter detaches or resizes are refused, and nothing is left behind', t => {
  const before = memory.stats()
  for (const [name, make] of Object.entries(victims)) {
    for (const use of uses) {
      const { bytes, spoil } = make()
      t.throws(() => use(bytes, spoil), { ...gone, message: /detached or resized/ }, `${name}: ${String(use)}`)
    }
  }
  t.deepEqual({ ...memory.stats(), metadataBytes: 0 }, { ...before, metadataBytes: 0 })
})

test('bytes that are detached from the start are refused', t => {
  const bytes = Uint8Array.from(answer(1))
  const words = new Uint32Array(2)
  const view = new DataView(new ArrayBuffer(8))
  detach(bytes)
  detach(new Uint8Array(words.buffer))
  detach(new Uint8Array(view.buffer))
  const inFlight = memory.allocate({ text: { protection: 'rx', size: 64 } })
  for (const [index, victim] of [bytes, bytes.buffer, words, view].entries()) {
    t.throws(() => memory.allocate({ text: { protection: 'rx', bytes: victim, size: 64 } }), gone, String(index))
    t.throws(() => {
      inFlight.text.write(victim)
    }, gone)
    t.throws(() => memory.link(victim), gone)
  }
  inFlight.abandon()
})

test('a graph has its bytes as they were when they were read', t => {
  const bytes = Uint8Array.of(1, 2, 3, 4)
  const image = memory.link({
    sections: [
      { name: '.rodata', protection: 'ro', bytes },
      {
        name: '.data',
        protection: 'rw',
        get size() {
          detach(bytes)
          return 8
        },
      },
    ],
    symbols: [{ name: 'table', section: '.rodata', size: 4 }],
  })
  t.deepEqual(contentOf({ address: image.address('table'), size: 4 }), [1, 2, 3, 4])
  image.free()
})

test('bytes that lie about their length are as long as they are', t => {
  const liar = Liar.of(0xaa, 0xbb, 0xcc)
  const inFlight = memory.allocate({ table: { protection: 'ro', bytes: liar, align: 16 } })
  t.is(inFlight.table.size, 3)
  t.deepEqual(contentOf(inFlight.finalize().table), [0xaa, 0xbb, 0xcc])
  const written = memory.allocate({ state: { protection: 'rw', size: 4 } })
  written.state.write(liar, 1)
  t.deepEqual(contentOf(written.finalize().state), [0, 0xaa, 0xbb, 0xcc])
  const graph: Graph = {
    sections: [
      { name: '.data', protection: 'rw', bytes: liar, align: 1 },
      { name: '.behind', protection: 'rw', bytes: Uint8Array.of(0xdd), align: 1 },
    ],
    symbols: [
      { name: 'first', section: '.data' },
      { name: 'behind', section: '.behind' },
    ],
  }
  const image = memory.link(graph)
  t.is(image.address('behind') - image.address('first'), 3n)
  t.deepEqual(contentOf({ address: image.address('first'), size: 4 }), [0xaa, 0xbb, 0xcc, 0xdd])
  t.is(
    codeOf(() => memory.link({ name: 'liar.o', bytes: liar })),
    'ERR_CODESLAB_UNKNOWN_FORMAT',
  )
  image.free()
})

test('buffers, arrays and maps of another realm are what they are in this one', t => {
  const { length } = answer(5)
  const code = [...answer(5)].join()
  for (const bytes of [
    elsewhere(`Uint8Array.of(${code})`) as Uint8Array,
    elsewhere(`Uint8Array.of(${code}).buffer`) as ArrayBuffer,
    elsewhere(`new DataView(Uint8Array.of(${code}).buffer)`) as DataView,
    elsewhere(
      `(() => { const u = new Uint8Array(new SharedArrayBuffer(${length})); u.set([${code}]); return u })()`,
    ) as Uint8Array,
    elsewhere(
      `(() => { const u = new Uint8Array(new SharedArrayBuffer(${length})); u.set([${code}]); return u.buffer })()`,
    ) as ArrayBuffer,
  ]) {
    const inFlight = memory.allocate({ text: { protection: 'rx', bytes }, copy: { protection: 'rx', size: length } })
    inFlight.copy.write(bytes)
    const { text, copy } = inFlight.finalize()
    t.is(text.function(nullary)(), 5)
    t.is(copy.function(nullary)(), 5)
    const graph: Graph = {
      sections: [{ name: '.text', protection: 'rx', bytes }],
      symbols: [{ name: 'f', section: '.text' }],
    }
    t.is(memory.link(graph).function('f', nullary)(), 5)
  }
  const inputs = (elsewhere('bytes => [bytes]') as (bytes: Uint8Array) => LinkInput[])(object)
  const externals = elsewhere('address => new Map([["other", address]])') as (
    address: bigint,
  ) => ReadonlyMap<string, bigint>
  const { text } = memory
    .allocate({ text: { protection: 'rx', bytes: answer(7) } }, { near: peekCode.address })
    .finalize()
  const image = memory.link(inputs, { externals: externals(text.address), processSymbols: false })
  t.is(image.function('eight', nullary)(), 8)
})

test('an object that another thread changes all the while is linked or refused', async t => {
  const shared = elsewhere(`new SharedArrayBuffer(${String(object.length)})`) as SharedArrayBuffer
  const bytes = new Uint8Array(shared)
  bytes.set(object)
  const worker = new Worker(
    `const { workerData: { shared, length } } = require('node:worker_threads')
     const bytes = new Uint8Array(shared)
     require('node:worker_threads').parentPort.postMessage('ready')
     for (let at = 0; ; at = (at * 7 + 13) % length) { const kept = bytes[at]; bytes[at] = 0xff; bytes[at] = kept }`,
    { eval: true, workerData: { shared, length: object.length } },
  )
  await new Promise(resolve => worker.once('message', resolve))
  const codes = new Set<string>()
  for (let round = 0; round < 2000; round++)
    codes.add(
      codeOf(() => {
        memory.link(shared as unknown as ArrayBuffer, { externals: { other: 1n } }).free()
      }),
    )
  await worker.terminate()
  for (const code of codes) t.regex(code, /^(nothing|ERR_CODESLAB_[A-Z_]+)$/)
})

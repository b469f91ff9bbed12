/** Handles that are forged, changed or used while something else uses them; and native functions without TypeScript before them. */

import test from 'ava'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { CodeMemory, CodeslabError } from '../index.ts'
import { compile } from './helpers/compile.ts'
import { codeOf, detach } from './helpers/hostile.ts'
import { add, answer, ret } from './helpers/machine-code.ts'
import { run } from './helpers/process.ts'

const memory = new CodeMemory()
const object = compile('int seven(void) { return 7; } extern int other(void); int eight(void) { return other() + 1; }')
const peek = () => 0

test('what a section says of itself cannot be changed, and native code does not ask it', t => {
  const { text, state } = memory
    .allocate({ text: { protection: 'rx', bytes: ret }, state: { protection: 'rw', size: 8 } })
    .finalize()
  for (const change of [{ protection: 'rx' }, { size: 2 ** 40 }, { address: 0x1234n }, { name: 'other' }]) {
    t.throws(() => Object.assign(state, change), { instanceOf: TypeError })
    t.throws(() => Object.assign(text, change), { instanceOf: TypeError })
  }
  Object.defineProperty(state, 'protection', { value: 'rx' })
  Object.defineProperty(text, 'size', { value: 2 ** 40 })
  Object.defineProperty(text, 'address', { value: 0x1234n })
  t.is(
    codeOf(() => state.function({})),
    'ERR_CODESLAB_NOT_EXECUTABLE',
  )
  t.is(
    codeOf(() => text.function({}, 2 ** 39)),
    'ERR_CODESLAB_OUT_OF_BOUNDS',
  )
  t.not(text.function({}).pointer, 0x1234n)
  const { reach } = memory
  t.throws(() => Object.assign(memory, { reach: 0 }), { instanceOf: TypeError })
  t.is(memory.reach, reach)
})

/** The methods and getters of an object of ours, of all its classes. */
function methodsOf(value: object): [string, { value?: unknown; get?: unknown }][] {
  const prototype = Object.getPrototypeOf(value) as object
  if (prototype === Object.prototype) return []
  return [...Object.entries(Object.getOwnPropertyDescriptors(prototype)), ...methodsOf(prototype)]
}

test('nobody makes an allocation, image or memory around a handle of their own', async t => {
  const inFlight = memory.allocate({ text: { protection: 'rx', size: 1 } })
  const allocation = inFlight.finalize()
  const image = memory.link(object, { externals: { other: 1n } })
  for (const value of [inFlight, inFlight.text, allocation, allocation.text, image, memory]) {
    const { constructor } = value as { constructor: object }
    t.deepEqual(Object.getOwnPropertySymbols(constructor), [])
    for (const [name, property] of methodsOf(value)) {
      const call = (property.value ?? property.get) as (...values: unknown[]) => unknown
      if (name === 'constructor') continue
      for (const stranger of [{}, new Proxy(value, {})]) {
        // Some refuse by a promise.
        const answer = new Promise(resolve => {
          resolve(call.call(stranger, 1, 2))
        })
        await t.throwsAsync(answer, { instanceOf: TypeError }, name)
      }
    }
  }
})

test('errors are made while anything may be called, and what is called finds handles that work', t => {
  const allocation = memory.allocate({ text: { protection: 'rx', bytes: answer(3) } }).finalize()
  const capture = Object.getOwnPropertyDescriptor(Error, 'captureStackTrace') as object
  let entered = 0
  Object.defineProperty(Error, 'captureStackTrace', {
    configurable: true,
    value: (error: Error) => {
      void error
      if (entered++ > 20) return
      codeOf(() => {
        allocation.free()
      })
      codeOf(() => memory.allocate({ text: { protection: 'rx', size: 16 } }).finalize())
      codeOf(() => memory.link(Buffer.from('noise')))
    },
  })
  try {
    t.is(
      codeOf(() => allocation.text.function({ return: 'nonsense' as never })),
      'ERR_CODESLAB_INVALID_SIGNATURE',
    )
    t.is(
      codeOf(() => {
        allocation.free()
      }),
      'ERR_CODESLAB_FREED',
    )
    t.is(
      codeOf(() => memory.link(Buffer.from('noise'))),
      'ERR_CODESLAB_UNKNOWN_FORMAT',
    )
  } finally {
    Object.defineProperty(Error, 'captureStackTrace', capture)
  }
  t.true(entered > 3)
})

type Native = Record<string, (...values: unknown[]) => unknown>

/** The native functions, past TypeScript, and those of life with sections of these numbers. */
function pastTypeScript(...numbers: number[]) {
  const native = createRequire(import.meta.url)('../native.cjs') as Required<Native>
  const shared = new Float64Array(numbers)
  const life = native['life']?.(shared) as Required<Native>
  const opened = native['openMemory']?.({
    codeModel: 'small',
    constants: 'separate',
    quarantine: 'off',
    sealed: false,
    hardened: true,
    guardPages: false,
    branchProtection: false,
  })
  const allocate = (count: number, contents: unknown) => {
    shared.set(numbers)
    return life['allocate']?.(opened, {}, count, contents, undefined, false)
  }
  return { native, life, opened, allocate, shared }
}

test('native functions, called past TypeScript, take neither handles nor numbers on trust', t => {
  const { native, life, opened, allocate, shared } = pastTypeScript(0, 16, 16, 0, 0, 16, 16, 0)
  const { shrinkSection, compileSignature } = native
  const { write, finalize, free, call } = life
  const victim = new Uint8Array(64).fill(0xc3)
  const contents: unknown[] = [victim]
  Object.defineProperty(contents, 1, { enumerable: true, get: () => (detach(victim), undefined) })
  const handle = allocate(2, contents)
  const one = allocate(1, undefined)
  const signed = compileSignature?.(['void'])
  for (const index of [1, 7, 2 ** 32 - 1]) {
    t.throws(() => write?.(one, index, 0, add), { code: 'ERR_CODESLAB_INVALID_INDEX' })
    t.throws(() => shrinkSection?.(one, index, 1), { code: 'ERR_CODESLAB_INVALID_INDEX' })
    t.throws(() => call?.(one, index, 'text', 0, signed), { code: 'ERR_CODESLAB_INVALID_INDEX' })
  }
  for (const offset of [-1, -Infinity, NaN, Infinity, 16, 2 ** 63]) {
    finalize?.(allocate(1, undefined))
    t.throws(() => call?.(handle, 0, 'text', offset, signed), { code: 'ERR_CODESLAB_OUT_OF_BOUNDS' })
  }
  const refused = { code: 'ERR_INVALID_ARG_TYPE' }
  for (const stranger of [opened, {}, undefined, 2 ** 31, peek, signed]) {
    t.throws(() => write?.(stranger, 0, 0, add), refused)
    t.throws(() => free?.(stranger), refused)
  }
  // These are what was freed: there are no sections in them.
  for (const freed of [0, 1, 2, NaN, -1, 0.5]) t.throws(() => free?.(freed), { code: 'ERR_CODESLAB_FREED' })
  for (const bytes of [add.buffer, new Float64Array(2), 'text', [1, 2], new DataView(new ArrayBuffer(8))]) {
    t.throws(() => write?.(one, 0, 0, bytes), refused)
  }
  for (const count of [3, 2 ** 32, Infinity]) t.throws(() => allocate(count, []), refused)
  t.throws(() => call?.(one, 0, 'text', 0, opened), refused)
  t.throws(() => write?.(one, 0), refused)
  shared[0] = 9
  t.throws(() => life['allocate']?.(opened, {}, 1, undefined, undefined, false), {
    code: 'ERR_CODESLAB_INVALID_INDEX',
  })
  detach(shared)
  t.throws(() => life['allocate']?.(opened, {}, 1, undefined, undefined, false), refused)
})

test('the native function for links takes neither handles, nor keepers, nor inputs on trust', t => {
  const { native, life, opened, allocate } = pastTypeScript(0, 16, 16, 0, 0, 16, 16, 0)
  const { finalize, link } = life
  const refused = { code: 'ERR_INVALID_ARG_TYPE' }
  const victim = new Uint8Array(64)
  const one = allocate(1, undefined)
  const handle = allocate(1, undefined)
  finalize?.(handle)
  const signed = native['compileSignature']?.(['void'])
  detach(victim)
  const none: unknown[] = []
  const more = { gc: false, wrap: [], replaceable: [], defsymNames: [], defsymExpressions: [] }
  const loaded = { names: [], addresses: [], keepers: [], images: [], positions: [], paths: [], pathPositions: [] }
  const options = {
    externalNames: [],
    externalAddresses: [],
    processSymbols: true,
    roots: [],
    ...more,
    libraries: none,
    loaded,
  }
  t.throws(() => link?.(opened, {}, ['a.o', 1, victim], options), { code: 'ERR_CODESLAB_MALFORMED' })
  for (const stranger of [one, {}, undefined, 7, signed]) t.throws(() => link?.(stranger, {}, none, options), refused)
  for (const keeper of [7, undefined, 'text']) t.throws(() => link?.(opened, keeper, none, undefined), refused)
  t.throws(() => link?.(opened, {}, none), refused)
  for (const alone of [7, {}, 'a.o', new Float64Array(2)]) {
    for (const given of [undefined, options]) t.throws(() => link?.(opened, {}, alone, given), { code: 'InvalidArg' })
  }
  for (const inputs of [
    [7, 0, victim],
    ['a.o', 3, victim],
    ['a.o', 'file', victim],
    ['a.o', 0, one],
    [undefined, 0, victim],
  ]) {
    t.throws(() => link?.(opened, {}, inputs, options), { code: 'InvalidArg' })
  }
  // An allocation in flight is no image, and one that is published none either.
  for (const images of [[one], [handle]]) {
    t.throws(() => link?.(opened, {}, none, { ...options, loaded: { ...loaded, images, positions: [9] } }))
    t.throws(() => link?.(opened, {}, ['a.o', 2, images[0]], options), { code: 'InvalidArg' })
  }
})

test('the native function for batches takes neither keepers, nor numbers, nor contents on trust', t => {
  const { life, opened, shared } = pastTypeScript(0, 16, 16, 0, 0, 16, 16, 0)
  const { free } = life
  const refused = { code: 'ERR_INVALID_ARG_TYPE' }
  const publish = life['publishAll'] as (...values: unknown[]) => unknown
  const none = new Uint8Array(0)
  for (const [keeper, length, staged, contents] of [
    [{}, 9, none, []],
    [{}, Infinity, none, []],
    [7, 5, none, []],
    [undefined, 5, none, []],
    [{}, 5, undefined, []],
    [{}, 5, [], []],
    [{}, 5, none, {}],
    [{}, 5, none, undefined],
  ]) {
    shared.set([1, 2, 16, 16, 0])
    t.throws(() => publish(opened, keeper, length, staged, contents, undefined), refused)
  }
  // More bytes than are staged, and fewer contents than are said to be listed.
  for (const [says, staged, contents] of [
    [17, new Uint8Array(16), []],
    [Infinity, new Uint8Array(16), []],
    [-1, none, []],
    [-1, none, [undefined]],
    [-1, none, [[1, 2]]],
  ]) {
    shared.set([1, 2, 16, 16, Number(says)])
    t.throws(() => publish(opened, {}, 5, staged, contents, undefined), refused, String(says))
  }
  // What a getter takes away is not read any more.
  const staged = new Uint8Array(64).fill(0xc3)
  const detaching = Object.defineProperty([], 0, { enumerable: true, get: () => (detach(staged), add) })
  shared.set([1, 2, 16, 16, 16])
  t.throws(() => publish(opened, {}, 5, staged, detaching, undefined), refused)
  shared.set([2, 2, 16, 16, 0])
  t.throws(() => publish(opened, {}, 5, none, [], undefined), refused)
  shared.set([1, 9, 16, 16, 0])
  t.throws(() => publish(opened, {}, 5, none, [], undefined), { code: 'ERR_CODESLAB_INVALID_INDEX' })
  t.throws(() => publish({}, {}, 5, none, [], undefined), refused)
  const batch = {}
  shared.set([1, 2, 16, 16, 0])
  publish(opened, batch, 5, none, [], undefined)
  // The number before that of the first member is the batch's own, which is no code.
  const member = shared[0] ?? 0
  t.throws(() => free?.(member - 1), refused)
  free?.(member)
  t.throws(() => free?.(member), refused)
  t.throws(() => life['places']?.(2 ** 31), refused)
  t.notThrows(() => life['places']?.(0), 'what was freed has no sections')
})

test('where TypeScript is loaded again in one environment, as test runners do, handles stay what they are', t => {
  const native = JSON.stringify(resolve(import.meta.dirname, '..', 'native.cjs'))
  const program = `
    const memory = new CodeMemory()
    const allocation = memory.allocate({ text: { protection: 'rx', size: 1 } }).finalize()
    process.getBuiltinModule('node:module').createRequire(import.meta.url)(${native}).install(() => new Error('made anew'), true)
    allocation.free()
    try { allocation.free() } catch (error) { console.log(error.message, memory.stats().live) }`
  t.like(run(program), { status: 0, output: 'made anew 0\n' })
})

test('native functions for data, slots and the process take nothing on trust either', t => {
  const { native, life, opened, allocate } = pastTypeScript(2, 16, 16, 0, 0, 16, 16, 0)
  const { sectionData, imageData, readData, writeData, viewData, makeSlot, replaceSlot, lookAtSlot } = native
  const { shareAllocation, shareSlot, openSharedAllocation, openSharedSlot, readAt, isSynchronized, watchCode } = native
  const handle = allocate(2, [undefined, undefined])
  const none = new BigUint64Array(0)
  t.throws(() => sectionData?.(handle, 0, 'in flight'), { code: 'ERR_CODESLAB_ABANDONED' })
  t.throws(() => shareAllocation?.(handle, ['a']), { code: 'ERR_CODESLAB_ABANDONED' })
  life['finalize']?.(handle)
  const region = sectionData?.(handle, 0, 'state')
  t.throws(() => sectionData?.(handle, 2, 'none'), { code: 'ERR_CODESLAB_INVALID_INDEX' })
  t.throws(() => sectionData?.(handle, 1, 'code'), { code: 'ERR_CODESLAB_NOT_DATA' })
  t.throws(() => imageData?.(handle, 'none', none), { instanceOf: CodeslabError })
  for (const offset of [-1, NaN, Infinity, 0.5, 16, 2 ** 63, 2 ** 64, Number.MAX_VALUE]) {
    t.throws(
      () => readData?.(region, offset, new Uint8Array(1)),
      { code: 'ERR_CODESLAB_OUT_OF_BOUNDS' },
      String(offset),
    )
    t.throws(
      () => writeData?.(region, offset, new Uint8Array(1)),
      { code: 'ERR_CODESLAB_OUT_OF_BOUNDS' },
      String(offset),
    )
  }
  for (const bytes of [[1], new Uint16Array(1), 'text', null, new DataView(new ArrayBuffer(1))]) {
    t.throws(() => readData?.(region, 0, bytes), { message: /not a Uint8Array/ })
    t.throws(() => writeData?.(region, 0, bytes), { message: /not a Uint8Array/ })
    t.throws(() => readAt?.(1n, bytes), { message: /not a Uint8Array/ })
  }
  for (const stranger of [opened, handle, {}, undefined, 7, peek]) {
    t.throws(() => readData?.(stranger, 0, new Uint8Array(1)), { message: /not a handle/ })
    t.throws(() => viewData?.(stranger), { message: /not a handle/ })
    t.throws(() => isSynchronized?.(stranger), { message: /not a handle/ })
  }
  // What is no slot is refused as one, though it is a handle.
  t.throws(() => replaceSlot?.(handle, 1n), { instanceOf: CodeslabError })
  t.throws(() => lookAtSlot?.(handle, none), { instanceOf: CodeslabError })
  t.throws(() => shareSlot?.(handle), { instanceOf: CodeslabError })
  const slot = makeSlot?.({}, opened, 2n ** 70n + 1n, none)
  t.throws(() => makeSlot?.({}, opened, 1n, BigUint64Array.of(2n, 1n)), { code: 'ERR_OUT_OF_RANGE' })
  t.notThrows(() => lookAtSlot?.(slot, none), 'there is room for nothing')
  t.notThrows(() => watchCode?.(slot))
  // More names than sections, and fewer, make no sections.
  const token = shareAllocation?.(handle, ['a', 'b', 'c', 'd'])
  const shared = openSharedAllocation?.({}, token) as { sections: unknown[] }
  t.is(shared.sections.length, 2)
  t.throws(() => openSharedSlot?.({}, token), { code: 'ERR_CODESLAB_UNKNOWN_TOKEN' })
})

test('sections, variables and slots are not made, changed or imitated', t => {
  const { state, text } = memory
    .allocate({ text: { protection: 'rx', bytes: answer(3) }, state: { protection: 'rw', size: 8 } })
    .finalize()
  const [variable, slot] = [state.data('int32'), memory.slot(text)]
  for (const value of [variable, slot, state]) {
    const { constructor } = value as unknown as { constructor: new (...values: unknown[]) => unknown }
    t.throws(() => new constructor(), { instanceOf: TypeError })
    t.throws(() => Object.assign(value, { address: 1n }), { instanceOf: TypeError })
    const imitation = Object.create(value) as typeof state
    t.is(
      codeOf(() => memory.find(imitation)),
      'ERR_INVALID_ARG_TYPE',
    )
    Object.defineProperty(value, 'address', { value: 0x1234n })
    t.not(memory.find(value as never), undefined, 'what it says of itself is not asked')
  }
})

test('a view is what it was made of, whatever is done to it', t => {
  const allocation = memory.allocate({ state: { protection: 'rw', size: 16 } }).finalize()
  const { state } = allocation
  const view = state.view()
  Object.defineProperty(view, 'length', { value: 2 ** 40 })
  Object.defineProperty(view, 'byteLength', { value: 2 ** 40 })
  Object.setPrototypeOf(view, null)
  state.write(view)
  t.is(state.read().length, 16)
  const passed = (state.data().view().buffer as ArrayBuffer & { transfer(): ArrayBuffer }).transfer()
  t.is(view[0], undefined)
  t.is(state.view().length, 16, 'another one is made')
  allocation.free()
  new Uint8Array(passed).fill(7)
  t.is(passed.byteLength, 16)
})

test('what a list holds and frees while it is read is refused, and what comes in its place is left alone', t => {
  const place = () => memory.allocate({ text: { protection: 'rx', bytes: answer(7) } })
  const first = place()
  let newcomer = first
  const batch = [first, place()]
  Object.defineProperty(batch, 1, {
    get() {
      first.finalize().free()
      newcomer = place()
      return place()
    },
  })
  t.is(
    codeOf(() => memory.finalizeAll(batch)),
    'ERR_CODESLAB_FINALIZED',
  )
  newcomer.finalize().free()
  const freeing = (image: { free: () => void }) => () => {
    image.free()
    kept.push(memory.link(compile('int seven(void) { return 8; } int more = 1;')))
    return 1n
  }
  const kept: unknown[] = []
  const caller = compile('extern int seven(void); extern int other(void); int f(void) { return seven() + other(); }')
  const library = memory.link(object, { externals: { other: 1n } })
  const libraries = [library, object]
  Object.defineProperty(libraries, 1, { get: () => (freeing(library)(), object) })
  t.is(
    codeOf(() => memory.link(caller, { libraries, externals: { other: 1n } })),
    'ERR_CODESLAB_FREED',
  )
  const image = memory.link(object, { externals: { other: 1n } })
  const externals = Object.defineProperty({ seven: image }, 'other', { enumerable: true, get: freeing(image) })
  t.is(
    codeOf(() => memory.link(caller, { externals })),
    'ERR_CODESLAB_FREED',
  )
  t.is(kept.length, 2)
})

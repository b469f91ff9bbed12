import test from 'ava'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Allocation, CodeMemory, Image, type DataType } from '../index.ts'
import { assemble, compile } from './helpers/compile.ts'
import { codeOf } from './helpers/hostile.ts'
import { run } from './helpers/process.ts'
import { loadInt } from './helpers/machine-code.ts'

const memory = new CodeMemory()
/** Objects of Windows do not say how large a variable is: it goes on to the end of its memory. */
const hasSizes = process.platform !== 'win32'

const place = (bytes: ArrayBufferView = Int32Array.of(1, 2, 3, 4)) =>
  memory
    .allocate({
      state: { protection: 'rw', bytes },
      table: { protection: 'ro', bytes },
      text: { protection: 'rx', bytes: loadInt },
    })
    .finalize()

test('what JavaScript writes to published data machine code reads, and the other way round', t => {
  const { state, text } = place()
  const read = text.function({ return: 'int32', arguments: ['pointer'] })
  state.write(Int32Array.of(99), 8)
  t.is(read(state.address + 8n), 99)
  t.deepEqual(new Int32Array(state.read().buffer), Int32Array.of(1, 2, 99, 4))
  t.deepEqual([...state.read(4, 2)], [2, 0])
  const image = memory.link(compile('int counter = 5; int next(void) { return ++counter; }'))
  const counter = image.data('counter', 'int32')
  t.is(counter.value, 5)
  t.is(image.function('next', { return: 'int32' })(), 6)
  t.is(counter.value, 6)
  counter.value = 41
  t.is(image.function('next', { return: 'int32' })(), 42)
})

test('constants are read and not written, and code is neither', t => {
  const { table, text } = place()
  t.deepEqual([...table.read(0, 5)], [1, 0, 0, 0, 2])
  const writes = [
    () => {
      table.write(loadInt)
    },
    () => table.view(),
    () => {
      table.data('int32').set(0, 1)
    },
  ]
  for (const action of writes) {
    t.throws(action, { code: 'ERR_CODESLAB_NOT_WRITABLE', message: /section table is constant.*in ro memory.*'rw'/s })
  }
  for (const action of [
    () => text.read(),
    () => {
      text.write(loadInt)
    },
    () => text.view(),
    () => text.data(),
  ]) {
    t.throws(action, { code: 'ERR_CODESLAB_NOT_DATA', message: /section text is not data/ })
  }
  const image = memory.link(compile('const int limit = 7; int f(void) { return limit; }'))
  t.is(image.data('limit', 'int32').value, 7)
  t.throws(() => (image.data('limit', 'int32').value = 8), {
    code: 'ERR_CODESLAB_NOT_WRITABLE',
    message: /symbol limit/,
  })
  t.throws(() => image.data('f'), { code: 'ERR_CODESLAB_NOT_DATA' })
  t.throws(() => image.data('none'), { code: 'ERR_CODESLAB_UNKNOWN_SYMBOL' })
})

test('nothing outside of a section or symbol is reached', t => {
  const { state } = place()
  const outside = [
    () => state.read(0, 17),
    () => state.read(17),
    () => state.read(-1),
    () => state.read(16, 1),
    () => state.read(0, 2 ** 40),
    () => {
      state.write(Buffer.alloc(17))
    },
    () => {
      state.write(Buffer.alloc(1), 16)
    },
    () => {
      state.write(Buffer.alloc(1), -1)
    },
    () => state.data('int32', 13),
    () => state.data('int32', 16),
    () => state.data('int32').get(4),
    () => {
      state.data('int32').set(4, 1)
    },
    () => {
      state.data('int32', 8).write(Buffer.alloc(9))
    },
  ]
  for (const action of outside) t.is(codeOf(action), 'ERR_CODESLAB_OUT_OF_BOUNDS', action.toString())
  t.is(state.read(16).length, 0)
  const small = memory.link(compile('char flag = 1; long long wide[3] = {1, 2, 3};'))
  if (hasSizes) {
    t.throws(() => small.data('flag', 'int32'), {
      code: 'ERR_CODESLAB_OUT_OF_BOUNDS',
      message: /int32, 4 bytes.*flag.*1 bytes/,
    })
  }
  const wide = small.data('wide', 'int64')
  t.is(wide.get(2), 3n)
  if (hasSizes) t.deepEqual([wide.length, wide.size], [3, 24])
  t.is(
    codeOf(() => wide.get(wide.length)),
    'ERR_CODESLAB_OUT_OF_BOUNDS',
  )
})

test('a symbol of unknown size goes on to the end of its memory, and one that says too much is refused', t => {
  const image = memory.link(assemble('.data\n.globl open\nopen: .long 5, 6\n'))
  const open = image.data('open', 'int32')
  t.deepEqual([open.get(0), open.get(1)], [5, 6])
  if (hasSizes) t.true(open.length >= 2 && open.length <= 4)
  const liar = (() => {
    try {
      const size = hasSizes ? '.size liar, 1 << 40\n' : ''
      return memory.link(assemble(`.data\n.globl liar\n${size}liar: .long 5\n`))
    } catch (error) {
      return error as { code?: string }
    }
  })()
  const code = liar instanceof Image ? codeOf(() => liar.data('liar')) : liar.code
  if (hasSizes) t.regex(String(code), /^ERR_CODESLAB_(OUT_OF_BOUNDS|MALFORMED)$/)
})

const source = `
  #include <stdbool.h>
  #include <stdint.h>
  bool flag = true; int8_t int8 = -5; uint8_t uint8 = 250; int16_t int16 = -500; uint16_t uint16 = 65000;
  int32_t int32 = -70000; uint32_t uint32 = 4000000000u; int64_t int64 = INT64_MIN; uint64_t uint64 = UINT64_MAX;
  float float32 = 0.5f; double float64 = 0.1; void *pointer = 0;
`

test('a variable of every type is read as it is, and takes the values of its type alone', t => {
  const image = memory.link(compile(source))
  const values: [string, DataType, unknown, unknown, unknown[]][] = [
    ['flag', 'bool', true, false, [2, 'true', 1n]],
    ['int8', 'int8', -5, 127, [128, -129, 0.5, '1', 1n]],
    ['uint8', 'u8', 250, 0, [256, -1, NaN]],
    ['int16', 'i16', -500, 32767, [32768, -32769]],
    ['uint16', 'uint16', 65000, 1, [65536, -1]],
    ['int32', 'i32', -70000, -(2 ** 31), [2 ** 31, Infinity]],
    ['uint32', 'uint32', 4000000000, 2 ** 32 - 1, [2 ** 32, -1]],
    ['int64', 'int64', -(2n ** 63n), 2n ** 63n - 1n, [2n ** 63n, 0.5, '1', 2 ** 53]],
    ['uint64', 'u64', 2n ** 64n - 1n, 7n, [-1n, 2n ** 64n, -1]],
    ['float32', 'float', 0.5, -0.25, ['1', 1n]],
    ['float64', 'double', 0.1, 1e300, [null, {}]],
    ['pointer', 'pointer', 0n, 0x1234n, ['text', -1n, 2n ** 64n, {}, () => 0]],
  ]
  for (const [name, type, before, after, wrong] of values) {
    const variable = image.data(name, type)
    t.is(variable.value, before as never, name)
    variable.value = after as never
    t.is(variable.value, after as never, name)
    for (const value of wrong) {
      const code = codeOf(() => {
        variable.value = value as never
      })
      t.regex(code, /^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/, `${name} = ${String(value)}`)
    }
    t.is(variable.value, after as never, name)
  }
  t.throws(() => image.data('int32', 'int33' as never), { code: 'ERR_INVALID_ARG_VALUE', message: /int33/ })
  t.throws(() => image.data('int32', 32 as never), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('a pointer takes everything that has an address, and where an address is wanted a section or a variable will do', t => {
  const { state, table, text } = place()
  const pointer = memory.link(compile(source)).data('pointer', 'pointer')
  for (const [value, address] of [
    [state, state.address],
    [state.data('int32', 4), state.address + 4n],
    [text.function({}), text.address],
    [null, 0n],
  ] as const) {
    pointer.value = value
    t.is(pointer.value, address)
  }
  const near = memory.allocate({ text: { protection: 'rx', size: 16 } }, { near: state })
  t.true(near.text.address - state.address < 2n ** 31n)
  t.is(memory.find(table)?.protection, 'ro')
  const sum = 'extern int values[4]; int sum(void) { return values[0] + values[1] + values[2] + values[3]; }'
  const image = memory.link(compile(sum), { externals: { values: state } })
  t.is(image.function('sum', { return: 'int32' })(), 10)
  for (const lookalike of [{ address: state.address }, Object.create(state) as object, new Proxy(state, {})]) {
    t.throws(() => memory.find(lookalike as never), { code: 'ERR_INVALID_ARG_TYPE', message: /section/ })
  }
})

test('a live view is the data itself, and is the same each time', t => {
  const { state, text } = place()
  const view = state.view()
  const words = new Int32Array(view.buffer, view.byteOffset, 4)
  t.is(state.view(), view)
  Atomics.add(words, 0, 40)
  t.is(text.function({ return: 'int32', arguments: ['pointer'] })(state.address), 41)
  state.write(Int32Array.of(7), 4)
  t.is(words[1], 7)
  const image = memory.link(compile('char before = 1; char name[] = "odd"; int next(void) { return ++name[0]; }'))
  const name = image.data('name')
  const shown = () => Buffer.from(name.view()).toString('latin1', 0, 4)
  if (hasSizes) t.is(name.view().length, 4)
  t.is(shown(), 'odd\0')
  image.function('next', { return: 'int32' })()
  t.is(shown(), 'pdd\0')
})

test('a view of a section can be written to the section, and read into: the bytes go one way', t => {
  const { state } = place(Uint8Array.from({ length: 16 }, (_, index) => index))
  const view = state.view()
  state.write(view.subarray(0, 12), 4)
  t.deepEqual([...state.read()], [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  const linked = memory.allocate({ copy: { protection: 'rw', bytes: view } }).finalize()
  t.deepEqual(linked.copy.read(), state.read())
})

test('freeing detaches the views of the thread that frees, and copies are refused', t => {
  const own = new CodeMemory()
  const allocation = own.allocate({ state: { protection: 'rw', size: 64 } }).finalize()
  const { state } = allocation
  const variable = state.data('int32')
  const view = state.view()
  allocation.free()
  t.is(view.length, 0)
  t.is(view.buffer.byteLength, 0)
  for (const action of [
    () => state.read(),
    () => {
      state.write(loadInt)
    },
    () => state.view(),
    () => variable.value,
  ]) {
    t.is(codeOf(action), 'ERR_CODESLAB_FREED')
  }
})

test('memory stays while a view of it can be reached, however it was passed on, and goes afterwards', t => {
  const program = `
    const memory = new CodeMemory()
/** Objects of Windows do not say how large a variable is: it goes on to the end of its memory. */
const hasSizes = process.platform !== 'win32'
    const turn = () => new Promise(resolve => setTimeout(resolve, 5))
    const settle = async () => { for (let i = 0; i < 2000 && memory.stats().live > 0; i++) { gc(); await turn() } }
    const make = () => memory.allocate({ state: { protection: 'rw', size: 4096 } }).finalize()
    let results = []
    // Freed: the view is detached, and the memory goes when V8 has let go.
    let allocation = make()
    let view = allocation.state.view()
    allocation.free()
    await settle()
    results.push(view.length, memory.stats().live)
    // Passed on: nothing can detach what transfer() made, so the memory stays for it.
    allocation = make()
    let passed = allocation.state.view().buffer.transfer()
    allocation.free()
    for (let i = 0; i < 5; i++) { gc(); await turn() }
    new Uint8Array(passed).fill(7)
    results.push(passed.byteLength, memory.stats().live)
    passed = undefined
    await settle()
    results.push(memory.stats().live)
    // Dropped: the view alone keeps it.
    view = make().state.view()
    for (let i = 0; i < 5; i++) { gc(); await turn() }
    view.fill(1)
    results.push(memory.stats().live)
    view = allocation = undefined
    await settle()
    results.push(memory.stats().live)
    report(results)`
  const { output, complaints, status } = run(program, { flags: ['--expose-gc'] })
  t.is(status, 0, complaints)
  t.deepEqual(JSON.parse(output), [0, 0, 4096, 1, 0, 1, 0])
})

test('a view cannot be sent to another thread, where nothing could detach it', t => {
  const { state } = place()
  const { buffer } = state.view()
  t.throws(() => structuredClone(buffer, { transfer: [buffer as ArrayBuffer] }))
  t.is(state.view().length, 16)
})

test('what another thread frees stays where it is until the views here are detached', async t => {
  const own = new CodeMemory()
  const allocation = own.allocate({ state: { protection: 'rw', size: 64 } }).finalize()
  const flags = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(new URL('helpers/visitor.ts', import.meta.url), {
    workerData: { token: allocation.share(), flags },
  })
  const next = async () => (await (once(worker, 'message') as Promise<[Record<string, unknown>]>))[0]
  t.deepEqual(await next(), { length: 64, first: 1 })
  t.is(allocation.state.data('int32').value, 1)
  allocation.free()
  t.is(own.stats().live, 1, 'a view is left')
  const still = next()
  Atomics.store(flags, 0, 1)
  Atomics.notify(flags, 0)
  t.deepEqual(await still, { length: 64, second: 77, freed: true })
  t.deepEqual(await next(), { length: 0 })
  for (let turns = 0; turns < 2000 && own.stats().live > 0; turns++)
    await new Promise(resolve => setTimeout(resolve, 5))
  t.is(own.stats().live, 0)
  worker.postMessage(undefined)
  await once(worker, 'exit')
})

test('a thread that ends with views gives up what they kept', async t => {
  const own = new CodeMemory()
  const allocation = own.allocate({ state: { protection: 'rw', size: 64 } }).finalize()
  const flags = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(new URL('helpers/visitor.ts', import.meta.url), {
    workerData: { token: allocation.share(), flags },
  })
  await once(worker, 'message')
  allocation.free()
  t.is(own.stats().live, 1)
  await worker.terminate()
  t.is(own.stats().live, 0)
})

test('an allocation that is shared has the same sections everywhere, and a token of something else is none', t => {
  const allocation = place()
  const token = allocation.share()
  t.is(allocation.share(), token)
  const opened = Allocation.open<'state' | 'table' | 'text'>(token)
  t.is(opened.state.address, allocation.state.address)
  t.deepEqual([opened.table.size, opened.table.protection, opened.table.name], [16, 'ro', 'table'])
  t.is(opened.text.function({ return: 'int32', arguments: ['pointer'] })(opened.table.address), 1)
  const image = memory.link(compile('int seven(void) { return 7; }'))
  t.is(
    codeOf(() => Allocation.open(image.share())),
    'ERR_CODESLAB_UNKNOWN_TOKEN',
  )
  t.is(
    codeOf(() => Image.open(token)),
    'ERR_CODESLAB_UNKNOWN_TOKEN',
  )
  t.is(
    codeOf(() => Allocation.open(memory.share())),
    'ERR_CODESLAB_UNKNOWN_TOKEN',
  )
  opened.free()
  t.true(allocation.freed)
  t.is(
    codeOf(() => allocation.share()),
    'ERR_CODESLAB_FREED',
  )
  t.is(
    codeOf(() => Allocation.open(token)),
    'ERR_CODESLAB_UNKNOWN_TOKEN',
  )
})

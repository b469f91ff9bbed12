import test from 'ava'
import { Worker } from 'node:worker_threads'
import { once } from 'node:events'
import { CodeMemory, sizeof, type CallbackType } from '../index.ts'
import { builtLibrary, compile, compileFixture } from './helpers/compile.ts'
import { run } from './helpers/process.ts'
import { answer } from './helpers/machine-code.ts'

const memory = new CodeMemory()
const bytes = compileFixture('callbacks.c')
const image = memory.link({ name: 'callbacks.o', bytes })

const compare = { return: 'int32', arguments: ['pointer', 'pointer'] } as const satisfies CallbackType
const next = { return: 'int32', arguments: ['int32'] } as const satisfies CallbackType

const sort = image.function('sort', { arguments: ['buffer', 'size_t', compare] })
const load = image.function('load', { return: 'int32', arguments: ['pointer'] })
const ascending = (a: bigint, b: bigint) => load(a) - load(b)

const shuffled = (count: number) => Int32Array.from({ length: count }, (_, index) => (index * 7919) % count)

test('libc sorts and searches with a function of JavaScript', t => {
  const values = shuffled(1000)
  sort(values, values.length, ascending)
  t.deepEqual(values, shuffled(1000).sort())
  const find = image.function('find', { return: 'int64', arguments: ['buffer', 'buffer', 'size_t', compare] })
  t.is(find(Int32Array.of(77), values, values.length, ascending), 77n)
  t.is(find(Int32Array.of(5000), values, values.length, ascending), -1n)
})

test('what a callback throws comes out of the call below it, which runs to its end first', t => {
  const values = shuffled(100)
  let calls = 0
  const failing = () => {
    calls += 1
    throw new RangeError('enough')
  }
  t.throws(
    () => {
      sort(values, values.length, failing)
    },
    { instanceOf: RangeError, message: 'enough' },
  )
  t.is(calls, 1, 'nothing runs while an exception waits')
  t.deepEqual(values.slice().sort(), shuffled(100).sort())
  for (const thrown of [undefined, null, 7, 'text', Symbol.iterator]) {
    let caught: unknown = t
    try {
      sort(shuffled(3), 3, () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- JavaScript may throw anything
        throw thrown
      })
    } catch (error) {
      caught = error
    }
    t.is(caught, thrown)
  }
  sort(values, values.length, ascending)
  t.deepEqual(values, shuffled(100).sort())
})

test('an exception goes to the innermost call, and can be caught there', t => {
  const count = image.function('count_until_zero', { return: 'int32', arguments: [next] })
  const outer = count(value => {
    t.throws(
      () =>
        count(() => {
          throw new Error('inner')
        }),
      { message: 'inner' },
    )
    return value < 3 ? 1 : 0
  })
  t.is(outer, 3)
})

test('every type arrives as a call would return it', t => {
  const types = {
    return: 'double',
    arguments: [
      ...(['int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64', 'float', 'double'] as const),
      ...(['pointer', 'float', 'double', 'int32', 'double', 'double', 'double', 'double', 'double'] as const),
    ],
  } as const satisfies CallbackType
  const many = image.function('many', { return: 'double', arguments: [types] })
  let seen: unknown[] = []
  const result = many((...values) => {
    seen = values
    return 0.25
  })
  t.is(result, 0.25)
  t.deepEqual(seen, [
    ...[-1, 255, -2, 65535, -3, 4294967295, -4n, 2n ** 64n - 1n, 1.5, 2.5],
    ...[7n, 3.5, 4.5, -5, 5.5, 6.5, 7.5, 8.5, 9.5],
  ])
})

for (const [type, fine, wrong] of [
  ['int8', [-128, 127], [128, 0.5, '1', undefined]],
  ['uint16', [0, 65535], [-1, null]],
  ['int64', [-(2n ** 63n), 7], [2n ** 63n, 'x']],
  ['float', [1.5, -0, Infinity], [1e300, 1n]],
  ['double', [0.1, NaN], ['0', {}]],
  ['pointer', [0n, 2n ** 64n - 1n, null], [-1n, 'text', Buffer.alloc(1), 5]],
] as const) {
  test(`a callback returns what a ${type} can be, and anything else throws`, t => {
    const call = image.function(`return_${type}`, { return: type, arguments: [{ return: type, arguments: [] }] })
    for (const value of fine) {
      const expected = type === 'int64' ? BigInt(String(value)) : (value ?? 0n)
      const result: unknown = call(() => value)
      t.is(result, expected)
    }
    for (const value of wrong) {
      const error = t.throws<NodeJS.ErrnoException>(() => call((() => value) as never))
      t.regex(error.code ?? '', /^ERR_(INVALID_RETURN_VALUE|OUT_OF_RANGE)$/, typeof value)
    }
  })
}

test('a native function, an address and null are passed as they are where a function is declared', t => {
  const call = image.function('return_pointer', { return: 'pointer', arguments: [{ return: 'pointer' }] })
  const one = memory.allocate({ text: { protection: 'rx', bytes: answer(7) } }).finalize()
  const native = one.text.function({ return: 'pointer' })
  t.is(call(native), 7n)
  t.is(call(native.pointer), 7n)
  for (const wrong of ['text', 5, {}]) t.throws(() => call(wrong as never), { name: 'TypeError' })
})

const keep = image.function('keep', { arguments: ['function'] })
const callKept = image.function('call_kept', { return: 'int32', arguments: ['int32'] })

test('a callback lives until it is disposed of, and native code gets zero afterwards', t => {
  const callback = memory.callback(next, value => value * 2)
  keep(callback.pointer)
  for (let round = 0; round < 10_000; round++) t.true(callKept(round) === round * 2 || round % 1000 !== 0)
  t.is(callKept(21), 42)
  callback.dispose()
  t.true(callback.disposed)
  t.is(callKept(21), 0)
  t.throws(
    () => {
      callback.dispose()
    },
    { code: 'ERR_CODESLAB_DISPOSED' },
  )
  callback[Symbol.dispose]()
  const other = memory.callback(next, () => 5)
  t.not(other.pointer, callback.pointer, 'what native code kept never calls another')
  t.is(callKept(21), 0)
  other.dispose()
})

test('there are as many callbacks at once as are asked for', t => {
  const all = Array.from({ length: 1000 }, (_, index) => memory.callback(next, value => value + index))
  t.is(new Set(all.map(({ pointer }) => pointer)).size, all.length)
  all.forEach(({ pointer }, index) => {
    keep(pointer)
    t.is(callKept(1), index + 1)
  })
  for (const callback of all) callback.dispose()
})

test('JavaScript that native code kept and calls from a function of numbers runs in optimized code as well', t => {
  const callback = memory.callback(next, value => value + 1)
  const loop = (count: number) => {
    let sum = 0
    for (let index = 0; index < count; index++) sum += callKept(index)
    return sum
  }
  keep(callback.pointer)
  t.is(loop(100_000), 5_000_050_000)
  callback.dispose()
  t.is(loop(10), 0)
})

test('a callback may free what called it, which ends when it returns', t => {
  const own = memory.link({ name: 'callbacks.o', bytes })
  const count = own.function('count_until_zero', { return: 'int32', arguments: [next] })
  t.is(
    count(value => {
      if (value === 0) own.free()
      return value < 5 ? 1 : 0
    }),
    5,
  )
  t.throws(() => count(() => 0), { code: 'ERR_CODESLAB_FREED' })
})

test('wrong arguments are refused when the callback is made', t => {
  t.throws(() => memory.callback(next, 7 as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => memory.callback({ return: 'int33' as never }, () => 0 as never), {
    code: 'ERR_CODESLAB_INVALID_SIGNATURE',
  })
  t.throws(() => memory.callback({ arguments: ['void' as never] }, () => 0), { code: 'ERR_CODESLAB_INVALID_SIGNATURE' })
  let deep: object = {}
  for (let depth = 0; depth < 20; depth++) deep = { arguments: [deep] }
  t.throws(() => image.function('sort', deep as never), { code: 'ERR_INVALID_ARG_VALUE' })
  const closed = new CodeMemory()
  closed.dispose()
  t.throws(() => closed.callback(next, () => 0), { code: 'ERR_CODESLAB_CLOSED' })
})

const elsewhere = image.function('call_elsewhere', { return: 'int32', arguments: [next] })

test.serial('a call from another thread is answered by the event loop', async t => {
  t.is(await elsewhere.async(value => value * 2 + 2), 42)
})

test.serial('a call from a thread that this one waits for is given up with an error, not waited for', t => {
  const blocked = t.throws(() => elsewhere(() => t.fail()), { code: 'ERR_CODESLAB_CALLBACK_BLOCKED' })
  t.regex(blocked.message, /async/)
  t.is(elsewhere.pointer > 0n, true, 'what was called stays')
})

test('a promise of a call: arguments are checked at once, and JavaScript goes on', async t => {
  const count = image.function('load', { return: 'int32', arguments: ['buffer'] })
  const promise = count.async(Int32Array.of(77))
  t.true(promise instanceof Promise)
  t.is(await promise, 77)
  t.throws(() => void count.async(5 as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => void (count.async as () => unknown)(), { code: 'ERR_INVALID_ARG_COUNT' })
  const many = await Promise.all(Array.from({ length: 100 }, (_, index) => count.async(Int32Array.of(index))))
  t.deepEqual(
    many,
    Array.from({ length: 100 }, (_, index) => index),
  )
})

test.serial('code is not freed during a call on another thread', async t => {
  const memory = new CodeMemory()
  const own = memory.link({ name: 'callbacks.o', bytes })
  const promise = own.function('call_elsewhere', { return: 'int32', arguments: [next] }).async(value => {
    t.is(memory.stats().live, 1)
    return value
  })
  own.free()
  t.is(await promise, 20)
  t.is(memory.stats().live, 0)
})

test('a callback itself is passed where an address is wanted', t => {
  const callback = memory.callback(next, value => value + 1)
  keep(callback)
  t.is(callKept(1), 2)
  const count = image.function('count_until_zero', { return: 'int32', arguments: [next] })
  t.is(count(callback), 10)
  callback.dispose()
})

test('arguments that vary are marked, and are of types that C passes', t => {
  const printf = {
    return: 'int32',
    arguments: ['buffer', 'size_t', 'string', '...', 'int32', 'double', 'string'],
  } as const
  const format = image.function('format', printf)
  const text = Buffer.alloc(64)
  t.is(format(text, 64, '%d %.2f %s', 7, 2.5, 'seven'), 12)
  t.is(text.toString('latin1', 0, 12), '7 2.50 seven')
  for (const [index, type] of (['float', 'int8', 'uint16', 'bool'] as const).entries()) {
    t.like(
      t.throws(
        () => image.function('format', { arguments: ['buffer', '...', 'int32', type] }),
        undefined,
        String(index),
      ),
      { code: 'ERR_CODESLAB_INVALID_SIGNATURE', type, argument: 2 },
    )
  }
})

test("C's own names for integers are as wide as here", t => {
  const wide = image.function('widest', { return: 'ulong', arguments: ['long', 'size_t', 'intptr_t', 'int', 'short'] })
  // On Windows `long` has 32 bits.
  const [one, result] = process.platform === 'win32' ? [-1, 0] : [-1n, 2n ** 63n]
  t.is(wide(one as bigint, 2n ** 63n, -1n, 1, 1), result as bigint)
})

test('text is returned as text, and null as null', t => {
  const greeting = image.function('greeting', { return: 'char *', arguments: ['int32'] })
  t.is(greeting(0), 'hello')
  t.is(greeting(1), 'Grüß dich')
  t.is(greeting(2), null)
})

test('zlib allocates with functions of JavaScript', t => {
  const zlib = memory.link(builtLibrary('libz.a'), { roots: ['deflateInit_', 'deflateEnd'] })
  const { heap } = memory.allocate({ heap: { protection: 'rw', size: 2 ** 20 } }).finalize()
  const blocks = new Set<bigint>()
  let end = heap.address
  const allocate = { return: 'pointer', arguments: ['pointer', 'uint', 'uint'] } as const satisfies CallbackType
  const zalloc = memory.callback(allocate, (_opaque, items, size) => {
    const start = end
    end += BigInt(Math.ceil((items * size) / 64) * 64)
    blocks.add(start)
    return start
  })
  const zfree = memory.callback({ arguments: ['pointer', 'pointer'] }, (_opaque, block) => {
    t.true(blocks.delete(block))
  })
  // A z_stream: the functions are behind eight fields, two of which are `long`.
  const [size, functions] = sizeof('ulong') === 8 ? [112, 64] : [88, 48]
  const stream = Buffer.alloc(size)
  stream.writeBigUInt64LE(zalloc.pointer, functions)
  stream.writeBigUInt64LE(zfree.pointer, functions + 8)
  const init = zlib.function('deflateInit_', { return: 'int', arguments: ['buffer', 'int', 'string', 'int'] })
  t.is(init(stream, 9, '1', stream.length), 0)
  t.true(blocks.size > 2)
  zlib.function('deflateEnd', { return: 'int', arguments: ['buffer'] })(stream)
  t.is(blocks.size, 0)
  zalloc.dispose()
  zfree.dispose()
})

test('a callback that throws where no JavaScript is below is an exception that nothing caught', t => {
  const { status, complaints, output } = run(
    `
    const image = new CodeMemory().link(input('callbacks.o'))
    const next = { return: 'int32', arguments: ['int32'] }
    const call = image.function('call_elsewhere', { return: 'int32', arguments: [next] })
    process.once('uncaughtException', error => report(error.message))
    const value = await call.async(() => { throw new Error('nobody') })
    if (value !== 0) throw new Error('it gets zero')
    `,
    { files: { 'callbacks.o': bytes } },
  )
  t.is(complaints, '')
  t.is(output, '"nobody"')
  t.is(status, 0)
})

test('a worker that is terminated in a callback takes nothing else down', async t => {
  const token = image.share()
  for (let round = 0; round < 5; round++) {
    const worker = new Worker(
      new URL(
        `data:text/javascript,${encodeURIComponent(`
          import { parentPort } from 'node:worker_threads'
          import { Image } from ${JSON.stringify(new URL('../index.ts', import.meta.url).href)}
          const next = { return: 'int32', arguments: ['int32'] }
          const count = Image.open('${token}').function('count_until_zero', { return: 'int32', arguments: [next] })
          parentPort.postMessage('ready')
          for (;;) count(() => 1)
        `)}`,
      ),
    )
    await once(worker, 'message')
    await worker.terminate()
  }
  t.is(callKept.name, 'call_kept')
})

test('a destructor that runs when the process or a worker ends gets zero from JavaScript, which is gone by then', t => {
  const source = 'int (*tell)(int); __attribute__((destructor)) static void gone(void) { if (tell) tell(1); }'
  const program = `
    import { Worker, isMainThread } from 'node:worker_threads'
    const memory = new CodeMemory()
    const image = memory.link(input('gone.o'))
    const callback = memory.callback({ return: 'int32', arguments: ['int32'] }, value => value)
    image.data('tell', 'pointer').value = callback.pointer
    globalThis.kept = [image, callback]
    if (isMainThread) new Worker(new URL(import.meta.url), { argv: process.argv.slice(2) }).on('exit', code => report(code))
  `
  t.deepEqual(run(program, { files: { 'gone.o': compile(source) } }), {
    status: 0,
    signal: null,
    output: '0',
    complaints: '',
  })
})

test('a constructor calls JavaScript that places more sections than ever before and has all garbage collected', t => {
  const small = new CodeMemory({ maxCommitted: 4 << 20 })
  const size = 1 << 20
  const source = `
    extern void call(void);
    static int state;
    __attribute__((constructor)) static void start(void) { call(); state = 7; }
    int seven(void) { return state; }`
  let sections = 100
  const place = () => {
    // Native code makes its functions anew for so many sections, and this is the last to have the old ones.
    sections += 100
    const names = Array.from({ length: sections }, (_, index) => `s${String(index)}`)
    small.allocate(Object.fromEntries(names.map(name => [name, { protection: 'rw', size: 16 }]))).abandon()
    // Garbage that fills the memory: room is found by collecting it, and what else is garbage goes as well.
    for (let index = 0; index < 16; index++) small.allocate({ data: { protection: 'rw', size } })
  }
  const call = small.callback({}, place)
  for (let round = 0; round < 3; round++) {
    const image = small.link(compile(source), { externals: { call: call.pointer } })
    t.is(image.function('seven', { return: 'int32' })(), 7)
    image.free()
  }
})

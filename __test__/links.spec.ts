import test from 'ava'
import { CodeMemory, CodeslabError, ParsedInput } from '../index.ts'
import { archive, compile } from './helpers/compile.ts'

const memory = new CodeMemory()
const int = { return: 'int32' } as const
const unary = { return: 'int32', arguments: ['int32'] } as const

const main = { name: 'main.o', bytes: compile('int helper(int); int twice_helped(int x) { return helper(x) * 2; }') }
const helper = { name: 'helper.o', bytes: compile('int bias = 5; int helper(int x) { return x + bias; }') }
const library = {
  name: 'parts.a',
  bytes: archive({
    'helper.o': helper.bytes,
    'other.o': compile('int other(void) { return 9; }'),
    'deep.o': compile('int helper(int); int deep(void) { return helper(1); }'),
  }),
}

test('several inputs become one image in which they see each other', t => {
  const image = memory.link([main, helper])
  t.is(image.function('twice_helped', unary)(16), 42)
  t.deepEqual(
    image.symbols().map(({ name, protection, object }) => `${name} ${protection ?? ''} ${object}`),
    ['bias rw helper.o', 'helper rx helper.o', 'twice_helped rx main.o'],
  )
  image.free()
})

test('a symbol has its address and size', t => {
  const image = memory.link(helper)
  const [bias, function_] = image.symbols()
  // Objects of Windows have no sizes.
  const hasSizes = process.platform !== 'win32'
  t.is(bias?.size, hasSizes ? 4 : 0)
  t.is(bias?.address, image.address('bias'))
  t.is((function_?.size ?? 0) > 0, hasSizes)
  t.throws(() => image.function('bias', {}), { code: 'ERR_CODESLAB_NOT_EXECUTABLE' })
  image.free()
})

test('an archive is linked whole, or as far as its roots need', t => {
  const names = (roots?: string[]) => {
    const image = memory.link(library, roots ? { roots } : {})
    const names = image.symbols().map(({ name }) => name)
    image.free()
    return names
  }
  t.deepEqual(names(), ['bias', 'deep', 'helper', 'other'])
  t.deepEqual(names(['deep']), ['bias', 'deep', 'helper'])
  t.deepEqual(names(['other']), ['other'])
  t.throws(() => names(['nobody']), { code: 'ERR_CODESLAB_UNDEFINED_SYMBOL' })
})

test('libraries are pulled in on demand', t => {
  const image = memory.link(main, { libraries: [library] })
  t.is(image.function('twice_helped', unary)(0), 10)
  t.deepEqual(
    image.symbols().map(({ name }) => name),
    ['bias', 'helper', 'twice_helped'],
  )
  image.free()
})

test('externals come from a record or a map, as bigints, numbers or functions', t => {
  const provider = memory.link(helper)
  const address = provider.address('helper')
  const externals = [
    { helper: address },
    new Map([['helper', address]]),
    { helper: Number(address) },
    { helper: provider.function('helper', unary) },
  ]
  for (const external of externals) {
    const image = memory.link(main, { externals: external as Record<string, bigint> })
    t.is(image.function('twice_helped', unary)(1), 12)
    image.free()
  }
  provider.free()
})

test('externals come before what the process has', t => {
  const own = memory.link(
    compile('int abs(int x) { return x + 1000; } int own(int x) { return abs(x); }', '-fno-builtin'),
  )
  const source = 'int abs(int); int absolute(int x) { return abs(x); }'
  const object = { name: 'absolute.o', bytes: compile(source, '-fno-builtin') }
  const usual = memory.link(object)
  const replaced = memory.link(object, { externals: { abs: own.address('abs') } })
  t.is(usual.function('absolute', unary)(-7), 7)
  t.is(replaced.function('absolute', unary)(-7), 993)
})

test('the symbols of the process can be kept out', t => {
  const object = {
    name: 'strlen.o',
    bytes: compile('#include <string.h>\nsize_t f(const char *s) { return strlen(s) + 1; }', '-fno-builtin'),
  }
  t.is(memory.link(object).function('f', { return: 'uint64', arguments: ['string'] })('abc'), 4n)
  const error = t.throws(() => memory.link(object, { processSymbols: false }), { instanceOf: CodeslabError })
  t.like(error, { code: 'ERR_CODESLAB_UNDEFINED_SYMBOL', symbol: 'strlen', object: 'strlen.o' })
})

test('each link has data of its own', t => {
  const object = compile('static int count; int next(void) { return ++count; }')
  const [first, second] = [memory.link(object), memory.link(object)].map(image => image.function('next', int))
  t.deepEqual([first?.(), first?.(), second?.(), first?.()], [1, 2, 1, 3])
})

test('an image can call into another one', t => {
  const callee = memory.link(compile('int forty(void) { return 40; }'))
  const caller = memory.link(compile('int forty(void); int answer(void) { return forty() + 2; }'), {
    externals: { forty: callee.address('forty') },
  })
  t.is(caller.function('answer', int)(), 42)
})

test('inputs may be any bytes, and errors call nameless ones by their place', t => {
  const bytes = Uint8Array.from(helper.bytes)
  const inputs = [bytes, bytes.buffer, new DataView(bytes.buffer), new Uint8Array(new SharedArrayBuffer(bytes.length))]
  new Uint8Array((inputs[3] as Uint8Array).buffer).set(bytes)
  for (const input of inputs) {
    const image = memory.link(input)
    t.is(image.function('helper', unary)(1), 6)
    t.is(image.symbols()[0]?.object, 'input')
    image.free()
  }
  t.like(
    t.throws(() => memory.link([main, Buffer.from('noise')])),
    { object: 'input[1]' },
  )
})

test('what nothing needs can be left out, and an estimate says what is taken', t => {
  const parts = compile('int used(void) { return 1; } int unused(void) { return 2; }', '-ffunction-sections')
  const input = { name: 'parts.o', bytes: parts }
  const options = { roots: ['used'], gc: true }
  const image = memory.link(input, options)
  t.deepEqual(
    image.symbols().map(({ name }) => name),
    ['used'],
  )
  image.free()
  const before = memory.stats()
  const [whole, needed] = [memory.estimate(input), memory.estimate(input, options)]
  t.true(needed.code < whole.code)
  t.deepEqual(needed.objects, ['parts.o'])
  t.deepEqual(memory.stats(), before)
  t.throws(() => memory.estimate(input, { roots: ['absent'] }), { code: 'ERR_CODESLAB_UNDEFINED_SYMBOL' })
})

test('names are wrapped and assigned', t => {
  const wrapper = compile('int __real_helper(int); int __wrap_helper(int x) { return __real_helper(x) + 100; }')
  const wrapped = memory.link([main, helper, wrapper], { wrap: ['helper'] })
  t.is(wrapped.function('twice_helped', unary)(16), 242)
  wrapped.free()
  const assigned = memory.link([main, helper], { defsym: { again: 'helper', fixed: 0x1234n } })
  t.is(assigned.address('again'), assigned.address('helper'))
  t.is(assigned.address('fixed'), 0x1234n)
  assigned.free()
  for (const options of [{ gc: 1 }, { wrap: 'helper' }, { defsym: { a: {} } }, { defsym: 7 }]) {
    t.throws(() => memory.link(main, options as object), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})

test('an input that was parsed is linked again and again, whatever becomes of its bytes', t => {
  const bytes = Uint8Array.from(library.bytes)
  const parsed = CodeMemory.load({ name: 'parts.a', bytes })
  bytes.fill(0)
  t.is(parsed.name, 'parts.a')
  t.is(parsed.size, bytes.length + 'parts.a'.length)
  for (let round = 0; round < 3; round++) {
    const image = memory.link(main, { libraries: [parsed] })
    t.is(image.function('twice_helped', unary)(0), 10)
    image.free()
    const whole = memory.link([parsed, main])
    t.deepEqual(
      whole.symbols().map(({ name }) => name),
      ['bias', 'deep', 'helper', 'other', 'twice_helped'],
    )
    whole.free()
  }
  t.deepEqual(memory.estimate(parsed, { roots: ['other'] }).objects, ['parts.a(other.o)'])
  t.throws(() => CodeMemory.load(Buffer.from('noise')), { code: 'ERR_CODESLAB_UNKNOWN_FORMAT' })
  t.throws(() => CodeMemory.load(Buffer.from('GROUP ( libm.a )')), { code: 'ERR_CODESLAB_UNKNOWN_FORMAT' })
  for (const value of ['parts.a', parsed, 7, undefined, { sections: [] }]) {
    t.throws(() => CodeMemory.load(value as unknown as Uint8Array), { code: 'ERR_INVALID_ARG_TYPE' })
  }
  t.throws(() => Reflect.construct(ParsedInput, []) as unknown, {
    instanceOf: TypeError,
    message: /what CodeMemory.load gives/,
  })
})

const flags = ['-fPIC', '-fno-inline', '-fno-ipa-cp']
const step = 'int step(int x) { return x + 1; }'
const twice = 'int step(int); int twice(int x) { return step(step(x)); }'
/** In one object, but where GNU's assembler binds what is in one object to sections, and leaves nothing to replace: on Windows. */
const program =
  process.platform === 'win32'
    ? [compile(step, ...flags), compile(twice, ...flags)]
    : [compile(`${step} ${twice}`, ...flags)]

test('a function of an image is replaced for its own code, for other images and for JavaScript', t => {
  for (const replaceable of [true, ['step']]) {
    const image = memory.link(program, { replaceable })
    const [step, twice] = [image.function('step', unary), image.function('twice', unary)]
    const other = memory.link(compile('int step(int); int thrice(int x) { return step(step(step(x))); }'), {
      libraries: [image],
    })
    const thrice = other.function('thrice', unary)
    const address = image.address('step')
    t.deepEqual([step(1), twice(1), thrice(1)], [2, 3, 4])
    const next = memory.link(compile('int step(int x) { return x * 10; }'))
    image.replace('step', next.function('step', unary))
    t.deepEqual([step(1), twice(1), thrice(1)], [10, 100, 1000])
    t.is(image.address('step'), address)
    // What it leads to is kept.
    next.free()
    t.deepEqual([step(1), twice(1)], [10, 100])
    image.replace('step', address)
    t.deepEqual([step(1), twice(1), thrice(1)], [2, 3, 4])
    image.free()
    // The other image keeps the code of the first one, and that is its own again.
    t.is(thrice(1), 4)
    other.free()
  }
})

test('what a freed image was led to goes with it', async t => {
  // Of a memory of its own: what other tests have dropped may be collected meanwhile.
  const memory = new CodeMemory()
  const image = memory.link(program, { replaceable: true })
  const next = memory.link(compile('int step(int x) { return x * 10; }'), { libraries: [image] })
  image.replace('step', next.function('step', unary))
  next.free()
  image.free()
  // Threads of other tests may be in functions at this moment, and what is freed waits for all that are.
  await memory.synchronize()
  t.is(memory.stats().live, 0)
})

test('only functions that were linked for it are replaced', t => {
  const image = memory.link(program, { replaceable: ['step'] })
  t.like(
    t.throws(() => {
      image.replace('twice', 0x1000n)
    }),
    { code: 'ERR_CODESLAB_NOT_REPLACEABLE', symbol: 'twice' },
  )
  t.throws(
    () => {
      image.replace('nobody', 0x1000n)
    },
    { code: 'ERR_CODESLAB_UNKNOWN_SYMBOL' },
  )
  t.throws(() => memory.link(program, { replaceable: ['nobody'] }), { code: 'ERR_CODESLAB_UNDEFINED_SYMBOL' })
  t.throws(() => memory.link(program, { replaceable: 'step' as unknown as string[] }), { code: 'ERR_INVALID_ARG_TYPE' })
  image.free()
  t.throws(
    () => {
      image.replace('step', 0x1000n)
    },
    { code: 'ERR_CODESLAB_FREED' },
  )
})

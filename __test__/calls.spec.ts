import test from 'ava'
import { CodeMemory, type ArgumentType, type NumberType, type PointerValue } from '../index.ts'
import { compile, compileFixture } from './helpers/compile.ts'
import { generator, pick } from './helpers/random.ts'

const memory = new CodeMemory()
const image = memory.link({ name: 'calls.o', bytes: compileFixture('calls.c') })

const numbers: Record<string, { type: NumberType; values: number[]; refused: number[] }> = {
  int8: { type: 'int8', values: [-128, -1, 0, 127], refused: [-129, 128, 0.5, NaN, Infinity] },
  uint8: { type: 'uint8', values: [0, 1, 255], refused: [-1, 256, 1.5, NaN] },
  int16: { type: 'int16', values: [-32768, 0, 32767], refused: [-32769, 32768, -0.5] },
  uint16: { type: 'uint16', values: [0, 65535], refused: [-1, 65536, Infinity] },
  int32: { type: 'int32', values: [-(2 ** 31), -1, 0, 2 ** 31 - 1], refused: [-(2 ** 31) - 1, 2 ** 31, 0.1, NaN] },
  uint32: { type: 'uint32', values: [0, 2 ** 32 - 1], refused: [-1, 2 ** 32, 1e300, -Infinity] },
  bool: { type: 'bool', values: [0, 1], refused: [-1, 256] },
  char: { type: 'char', values: [0, 65, 127], refused: [1000, 0.5] },
  float: {
    type: 'float',
    values: [0, -0, 1.5, Infinity, -Infinity, NaN, 3.4028234663852886e38],
    refused: [3.5e38, -1e300],
  },
  double: { type: 'double', values: [0, -0, 0.1, Number.MAX_VALUE, Infinity, NaN, Number.MIN_VALUE], refused: [] },
}

for (const [name, { type, values, refused }] of Object.entries(numbers)) {
  test(`a ${name} arrives and returns as it was, and what it cannot hold is refused`, t => {
    const echo = image.function(`echo_${name}`, { return: type, arguments: [type] })
    for (const value of values) t.is(echo(value), value)
    for (const value of refused) t.throws(() => echo(value), { code: 'ERR_OUT_OF_RANGE', instanceOf: RangeError })
    for (const value of ['1', 1n, true, null, undefined, {}, [1], Symbol('one')]) {
      t.throws(() => echo(value as number), { code: 'ERR_INVALID_ARG_TYPE', instanceOf: TypeError })
    }
  })
}

test('64-bit integers are bigints, and safe integers do as arguments', t => {
  const signed = image.function('echo_int64', { return: 'int64', arguments: ['int64'] })
  for (const value of [-(2n ** 63n), -1n, 0n, 2n ** 63n - 1n]) t.is(signed(value), value)
  t.is(signed(-(2 ** 53 - 1)), -(2n ** 53n - 1n))
  for (const value of [2n ** 63n, -(2n ** 63n) - 1n, 2 ** 53, 0.5, NaN]) {
    t.throws(() => signed(value), { code: 'ERR_OUT_OF_RANGE' })
  }
  const unsigned = image.function('echo_uint64', { return: 'uint64', arguments: ['uint64'] })
  for (const value of [0n, 2n ** 64n - 1n]) t.is(unsigned(value), value)
  for (const value of [-1n, 2n ** 64n, -1, 2 ** 53]) t.throws(() => unsigned(value), { code: 'ERR_OUT_OF_RANGE' })
  for (const value of ['1', null, true]) {
    t.throws(() => unsigned(value as unknown as bigint), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})

test('every alternative spelling means the same', t => {
  const same: Extract<ArgumentType, string>[][] = [
    ['int8', 'i8'],
    ['uint8', 'u8', 'bool'],
    ['int16', 'i16'],
    ['uint16', 'u16'],
    ['int32', 'i32'],
    ['uint32', 'u32'],
    ['int64', 'i64'],
    ['uint64', 'u64'],
    ['float32', 'f32', 'float'],
    ['float64', 'f64', 'double'],
    ['pointer', 'ptr', 'string', 'str', 'buffer', 'arraybuffer', 'function'],
  ]
  for (const [first, ...others] of same) {
    const name = first === 'float32' ? 'float' : first === 'float64' ? 'double' : (first ?? '')
    for (const type of others) {
      const echo = image.function(`echo_${name}`, { return: type, arguments: [type] })
      const value = ['int64', 'uint64', 'pointer'].includes(name) ? 7n : 7
      t.is(echo(value as never), value, type)
    }
  }
})

test('narrow arguments are extended as compilers expect', t => {
  t.is(image.function('widen_int8', { return: 'int32', arguments: ['int8'] })(-5), -5)
  t.is(image.function('widen_uint16', { return: 'uint32', arguments: ['uint16'] })(65535), 65535)
})

test('what lies above a narrow result in its register is ignored', t => {
  const wide = (type: NumberType) =>
    image.function('wide', { return: type, arguments: ['uint64'] })(0xffff_ff80_ffff_ff81n)
  t.deepEqual(
    (['int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32'] as const).map(wide),
    [-127, 129, -127, 65409, -127, 4294967169],
  )
})

test('a signature may leave out what it does not have', t => {
  const nothing = image.function('nothing', {}) as () => unknown
  const explicitly = image.function('nothing', { return: 'void', arguments: [] }) as () => unknown
  t.is(nothing(), undefined)
  t.is(explicitly(), undefined)
  t.is(image.function('nothings', { return: 'int32' })(), 2)
})

test('a wrong number of arguments is refused', t => {
  const twice = image.function('twice', { return: 'int32', arguments: ['int32'] }) as (...values: number[]) => number
  t.throws(() => twice(), { code: 'ERR_INVALID_ARG_COUNT', message: 'twice takes 1 argument, not 0' })
  t.throws(() => twice(1, 2), { code: 'ERR_INVALID_ARG_COUNT', instanceOf: TypeError })
  t.throws(() => twice(...Array.from({ length: 50 }, () => 1)), { code: 'ERR_INVALID_ARG_COUNT' })
  t.is(twice(21), 42)
})

test('bytes of every kind lend their address, offset included', t => {
  const first = image.function('first_byte', { return: 'uint8', arguments: ['pointer'] })
  const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
  const shared = new Uint8Array(new SharedArrayBuffer(8)).fill(9)
  const cases: [PointerValue, number][] = [
    [bytes, 1],
    [bytes.subarray(2), 3],
    [bytes.buffer, 1],
    [new DataView(bytes.buffer, 5), 6],
    [new Uint16Array(bytes.buffer, 2), 3],
    [Buffer.from('a'), 97],
    [Float64Array.of(0), 0],
    [shared, 9],
    ['Zoë', 90],
  ]
  for (const [value, expected] of cases) t.is(first(value), expected)
})

test('what is not an address is refused', t => {
  const echo = image.function('echo_pointer', { return: 'pointer', arguments: ['pointer'] })
  t.is(echo(null), 0n)
  t.is(echo(undefined), 0n)
  t.is(echo(2n ** 64n - 1n), 2n ** 64n - 1n)
  for (const value of [-1n, 2n ** 64n]) t.throws(() => echo(value), { code: 'ERR_OUT_OF_RANGE' })
  for (const value of [1, true, {}, [1], Symbol('one'), () => 1, new Date()]) {
    t.throws(() => echo(value as unknown as bigint), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})

test('native code writes through the pointers that it is given', t => {
  const fill = image.function('fill', { arguments: ['buffer', 'uint8', 'uint64'] })
  const bytes = Buffer.alloc(100)
  fill(bytes.subarray(10, 20), 7, 10)
  t.is(
    bytes.reduce((sum, byte) => sum + byte, 0),
    70,
  )
})

test('a string is passed as UTF-8 with a NUL at its end, and one that contains a NUL is refused', t => {
  const length = image.function('length', { return: 'uint64', arguments: ['string'] })
  for (const text of ['', 'four', 'fünf', '🙂', 'x'.repeat(100_000)]) {
    t.is(length(text), BigInt(Buffer.byteLength(text)))
  }
  t.throws(() => length('one\0two'), { code: 'ERR_OUT_OF_RANGE' })
})

test('a function can be passed as a callback', t => {
  const twice = image.function('twice', { return: 'int32', arguments: ['int32'] })
  const apply = image.function('apply', { return: 'int32', arguments: ['function', 'int32'] })
  t.is(twice.pointer, image.address('twice'))
  t.is(apply(twice, 21), 42)
  t.is(apply(image.address('twice'), 4), 8)
})

test('variadic functions can be called', t => {
  const sum = image.function('sum_of', {
    return: 'double',
    arguments: ['int32', ...Array.from({ length: 10 }, () => 'double' as const)],
  })
  t.is(sum(10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10.5), 55.5)
})

const types = [
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'float',
  'double',
  'pointer',
] as const
type Type = (typeof types)[number]

const spelling: Record<Type, string> = {
  ...{ int8: 'int8_t', uint8: 'uint8_t', int16: 'int16_t', uint16: 'uint16_t', int32: 'int32_t', uint32: 'uint32_t' },
  ...{ int64: 'int64_t', uint64: 'uint64_t', float: 'float', double: 'double', pointer: 'void *' },
}

/** A value of a type, often one at the edge of it. */
function sample(random: () => number, type: Type): number | bigint {
  if (type === 'float') return Math.fround(random() * 1000 - 500)
  if (type === 'double') return random() * 1e9 - 5e8
  const bits = type === 'pointer' ? 64 : Number(/\d+/.exec(type)?.[0])
  const pattern = BigInt(Math.floor(random() * 2 ** 32)) * 0x1_0000_0001n
  const extreme = pick(random, [pattern, 0n, -1n, 1n << BigInt(bits - 1), (1n << BigInt(bits - 1)) - 1n])
  const value = type.startsWith('int') ? BigInt.asIntN(bits, extreme) : BigInt.asUintN(bits, extreme)
  return bits === 64 ? value : Number(value)
}

/** A function that notes its arguments, so that they can be asked for. */
function noting(name: string, parameters: readonly Type[]): string {
  const list = parameters.map((type, index) => `${spelling[type]} a${String(index)}`).join(', ')
  const notes = parameters.map((type, index) => {
    const field = type === 'float' || type === 'double' ? 'real' : 'whole'
    return `  seen[${String(index)}].${field} = ${field === 'whole' ? '(uint64_t)(int64_t)' : ''}a${String(index)};`
  })
  return `void ${name}(${list || 'void'}) {\n${notes.join('\n')}\n}\n`
}

/** How many integers fit into registers and 16 words of stack. */
const most = 16 + (process.arch === 'arm64' ? 8 : process.platform === 'win32' ? 4 : 6)

test('every mix of up to as many arguments as can be passed arrives in C as it was passed', t => {
  const random = generator(2024)
  const signatures = Array.from({ length: 60 }, (_, index) =>
    Array.from({ length: index % (most + 1) }, () => pick(random, types)),
  )
  const source = `#include <stdint.h>
    static union { uint64_t whole; double real; } seen[32];
    uint64_t whole(int32_t index) { return seen[index].whole; }
    double real(int32_t index) { return seen[index].real; }
    ${signatures.map((types, index) => noting(`note_${String(index)}`, types)).join('\n')}`
  const notes = memory.link({ name: 'notes.o', bytes: compile(source) })
  const whole = notes.function('whole', { return: 'uint64', arguments: ['int32'] })
  const real = notes.function('real', { return: 'double', arguments: ['int32'] })
  signatures.forEach((types, index) => {
    const values = types.map(type => sample(random, type))
    notes.function(`note_${String(index)}`, { arguments: types })(...(values as never[]))
    types.forEach((type, position) => {
      const isReal = type === 'float' || type === 'double'
      const value = values[position] ?? NaN
      const expected = isReal ? value : BigInt.asUintN(64, BigInt(value))
      t.is(isReal ? real(position) : whole(position), expected, `${type} ${String(position)} of ${types.join()}`)
    })
  })
  notes.free()
})

test('what does not fit the registers and 16 words of stack is refused when the function is made', t => {
  const arguments_ = (count: number) => Array.from({ length: count }, () => 'int64' as const)
  t.notThrows(() => image.function('twice', { arguments: arguments_(most) }))
  // On Windows an argument takes the register of its number, of whichever kind.
  const more = () => image.function('twice', { arguments: [...arguments_(most), 'double'] })
  if (process.platform === 'win32') t.throws(more, { code: 'ERR_CODESLAB_INVALID_SIGNATURE' })
  else t.notThrows(more)
  t.throws(() => image.function('twice', { arguments: arguments_(most + 1) }), {
    code: 'ERR_CODESLAB_INVALID_SIGNATURE',
    message: /at most 16 words/,
  })
})

test('a signature that names no type, or void as an argument, is refused by name', t => {
  const signature = (signature: object) => () => image.function('twice', signature)
  t.like(t.throws(signature({ return: 'int33' })), { code: 'ERR_CODESLAB_INVALID_SIGNATURE', type: 'int33' })
  t.like(t.throws(signature({ arguments: ['int32', 'void'] })), {
    code: 'ERR_CODESLAB_INVALID_SIGNATURE',
    type: 'void',
    argument: 1,
  })
  t.throws(signature({ arguments: 'int32' }), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(signature({ arguments: [32] }), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(signature({ return: null as never }), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => image.function('twice', undefined as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => image.function(7 as never, {}), { code: 'ERR_INVALID_ARG_TYPE' })
})

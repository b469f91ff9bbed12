/**
 * Structures by value against the C compiler of this machine: signatures that a seed makes, called in both directions. C takes every scalar
 * of what it is passed into a checksum, and makes results of constants; so nothing here is compared with what codeslab encoded.
 */

import test from 'ava'
import { arch, platform } from 'node:process'
import {
  alignof,
  array,
  CodeMemory,
  enumeration,
  inout,
  offsetof,
  out,
  pointer,
  sizeof,
  struct,
  type FieldType,
  type NativeType,
} from '../index.ts'
import { compile } from './helpers/compile.ts'
import { generator, pick } from './helpers/random.ts'

const COUNT = 400

const memory = new CodeMemory()
const known = ['x64', 'arm64'].includes(arch) ? test : test.skip
/** Whether large structures lie among the words of a call, or travel by their addresses. */
const onStack = arch === 'x64' && platform !== 'win32'

/** A type of C with what it is in JavaScript. */
interface Type {
  c: string
  /** Behind the name of a field. */
  suffix: string
  type: FieldType
  size: number
  value: () => unknown
  /** C expressions for each scalar at a path, with the value that JavaScript has for it. */
  leaves: (path: string, value: unknown) => [expression: string, value: unknown, isFloat: boolean][]
}

const random = generator(20_261)
const below = (limit: number) => Math.floor(random() * limit)
const definitions: string[] = []

function scalar(c: string, type: FieldType, size: number, value: () => unknown, isFloat = false): Type {
  return { c, suffix: '', type, size, value, leaves: (path, one) => [[path, one, isFloat]] }
}

const integer = (bits: number, isSigned: boolean) => () => below(2 ** bits) - (isSigned ? 2 ** (bits - 1) : 0)
const quarter = () => (below(8001) - 4000) / 4
const wide = (isSigned: boolean) => () => {
  const word = (BigInt(below(2 ** 31)) << 32n) | BigInt(below(2 ** 32))
  return isSigned && random() < 0.5 ? -word : word
}

const scalars: Type[] = [
  scalar('signed char', 'int8', 1, integer(8, true)),
  scalar('char', 'char', 1, integer(7, false)),
  scalar('uint8_t', 'uint8', 1, integer(8, false)),
  scalar('short', 'short', 2, integer(16, true)),
  scalar('uint16_t', 'uint16', 2, integer(16, false)),
  scalar('int', 'int', 4, integer(32, true)),
  scalar('uint32_t', 'uint32', 4, integer(32, false)),
  scalar('int64_t', 'int64', 8, wide(true)),
  scalar('size_t', 'size_t', 8, wide(false)),
  scalar('void *', 'pointer', 8, wide(false)),
  ...Array.from({ length: 3 }, () => scalar('float', 'float', 4, quarter, true)),
  ...Array.from({ length: 3 }, () => scalar('double', 'double', 8, quarter, true)),
]

function arrayType(element: Type): Type {
  const length = 1 + below(4)
  const values = (value: unknown) => value as unknown[]
  return {
    c: element.c,
    suffix: `[${length}]`,
    type: array(element.type, length),
    size: element.size * length,
    value: () => Array.from({ length }, () => element.value()),
    leaves: (path, value) => values(value).flatMap((one, index) => element.leaves(`${path}[${index}]`, one)),
  }
}

function structure(depth: number): Type {
  const field = (): Type => {
    const inner = depth > 0 && random() < 0.25 ? structure(depth - 1) : pick(random, scalars)
    return random() < 0.2 && inner.suffix === '' ? arrayType(inner) : inner
  }
  // Half of them are of one type only, which some conventions treat apart.
  const only = random() < 0.4 ? field() : undefined
  const fields = Array.from({ length: 1 + below(depth > 1 ? 5 : 3) }, () => only ?? field())
  const name = `S${definitions.length}`
  definitions.push(`struct ${name} { ${fields.map(({ c, suffix }, at) => `${c} f${at}${suffix};`).join(' ')} };`)
  const type = struct(name, Object.fromEntries(fields.map((one, index) => [`f${index}`, one.type])))
  return {
    c: `struct ${name}`,
    suffix: '',
    type,
    size: type.size,
    value: () => Object.fromEntries(fields.map((one, index) => [`f${index}`, one.value()])),
    leaves: (path, value) =>
      fields.flatMap((one, index) => one.leaves(`${path}.f${index}`, (value as Record<string, unknown>)[`f${index}`])),
  }
}

const anyType = () => (random() < 0.65 ? structure(2) : pick(random, scalars))

/** A value whose scalars C writes as constants. */
function assign({ leaves }: Type, path: string, value: unknown): string {
  const literal = (one: unknown) => (typeof one === 'bigint' ? `${one}ll` : String(one))
  return leaves(path, value)
    .map(([expression, one]) => `${expression} = (__typeof__(${expression}))${literal(one)};`)
    .join(' ')
}

/** C that adds the scalars of a value to a checksum. */
function digest({ leaves, value }: Type, path: string): string {
  const parts = leaves(path, value()).map(([expression, , isFloat], index) => {
    const word = isFloat ? `(uint64_t)(int64_t)(${expression} * 4)` : `(uint64_t)(${expression})`
    return `sum = sum * 31 + ${word} * ${2 * index + 1};`
  })
  return parts.join(' ')
}

/** The same in JavaScript. */
function sum(before: bigint, { leaves }: Type, value: unknown): bigint {
  return leaves('', value).reduce((all, [, one, isFloat], index) => {
    const word = isFloat ? BigInt((one as number) * 4) : BigInt(one as number)
    return BigInt.asUintN(64, all * 31n + word * BigInt(2 * index + 1))
  }, before)
}

interface Case {
  result: Type
  parameters: Type[]
  /** What the function returns. */
  returned: unknown
  /** What C passes to the callback. */
  passed: unknown[]
}

function makeCase(): Case {
  const parameters: Type[] = []
  let room = 56
  for (const one of Array.from({ length: below(8) }, anyType)) {
    room -= Math.ceil(one.size / 8)
    if (room >= 0) parameters.push(one)
  }
  let result = anyType()
  while (result.size > 512) result = anyType()
  return { result, parameters, returned: result.value(), passed: parameters.map(one => one.value()) }
}

/** A function that returns a constant, and one that calls such a function. */
function source({ result, parameters, returned, passed }: Case, index: number): string {
  const list = parameters.map(({ c }, at) => `${c} p${at}`).join(', ') || 'void'
  const digests = parameters.map((one, at) => digest(one, `p${at}`)).join('\n  ')
  const variables = parameters.map((one, at) => `${one.c} p${at}; ${assign(one, `p${at}`, passed[at])}`).join('\n  ')
  return `
${result.c} f${index}(${list}) {
  uint64_t sum = 7;
  ${digests}
  seen = sum;
  ${result.c} r; ${assign(result, 'r', returned)}
  return r;
}
uint64_t g${index}(${result.c} (*call)(${list})) {
  ${variables}
  ${result.c} r = call(${parameters.map((_, at) => `p${at}`).join(', ')});
  uint64_t sum = 7;
  ${digest(result, 'r')}
  return sum;
}`
}

const cases = Array.from({ length: COUNT }, makeCase)
const functions = cases.map(source).join('\n')
const image = memory.link(
  compile(
    `#include <stdint.h>\n#include <stddef.h>\nuint64_t seen;\n${definitions.join('\n')}\n${functions}`,
    '-O1',
    '-w',
  ),
)

known('structures arrive in C as they were passed, and come back as C returned them', t => {
  const seen = image.data('seen', 'uint64')
  let structures = 0
  for (const [index, { result, parameters, returned }] of cases.entries()) {
    const signature = { return: result.type, arguments: parameters.map(({ type }) => type) }
    const call = image.function(`f${index}`, signature as never) as unknown as (...values: unknown[]) => unknown
    const values = parameters.map(one => one.value())
    t.deepEqual(call(...values), returned, `result of f${index}`)
    const expected = parameters.reduce((all, one, at) => sum(all, one, values[at]), 7n)
    t.is(seen.value, expected, `arguments of f${index}`)
    structures += parameters.filter(({ type }) => typeof type === 'object').length
  }
  t.true(structures > COUNT)
})

known('structures arrive in a callback as C passed them, and in C as it returned them', t => {
  for (const [index, { result, parameters, passed }] of cases.entries()) {
    const signature = { return: result.type, arguments: parameters.map(({ type }) => type) }
    const call = image.function(`g${index}`, { return: 'uint64', arguments: [signature as never] })
    const value = result.value()
    const got: unknown[][] = []
    const digested = (call as unknown as (callee: unknown) => bigint)((...values: unknown[]) => {
      got.push(values)
      return value
    })
    t.deepEqual(got, [passed], `arguments of g${index}`)
    t.is(digested, sum(7n, result, value), `result of g${index}`)
  }
})

known('calls on another thread take structures as well', async t => {
  const some = [...cases.entries()].slice(0, 60)
  const called = some.map(async ([index, { result, parameters, returned }]) => {
    const signature = { return: result.type, arguments: parameters.map(({ type }) => type) }
    const call = image.function(`f${index}`, signature as never) as unknown as {
      async: (...values: unknown[]) => Promise<unknown>
    }
    t.deepEqual(await call.async(...parameters.map(one => one.value())), returned, `f${index}`)
  })
  await Promise.all(called)
})

const more = compile(`
  #include <stdarg.h>
  #include <stddef.h>
  struct point { double x, y; };
  struct tagged { char tag; struct point at; int list[3]; };
  enum whence { SET, CUR, END = 7 };
  enum whence next(enum whence one) { return one == SET ? CUR : END; }
  double total(const struct point *all, size_t count) {
    double sum = 0;
    for (size_t k = 0; k < count; k++) sum += all[k].x * all[k].y;
    return sum;
  }
  void divide(int a, int b, int *quotient, int *rest) { *quotient = a / b; *rest = a % b; }
  void turn(struct point *at) { double x = at->x; at->x = -at->y; at->y = x; }
  double vary(int count, ...) {
    va_list list; double sum = 0;
    va_start(list, count);
    for (int k = 0; k < count; k++) { struct point p = va_arg(list, struct point); sum += p.x - p.y; }
    va_end(list);
    return sum;
  }
  struct large { double all[65]; };
  double last(struct large one) { return one.all[64]; }
  struct tagged tag(struct tagged one) { one.tag++; one.at.x += 1; one.list[2] = -one.list[2]; return one; }
  struct tagged (*kept)(struct tagged);
  void keep(struct tagged (*callee)(struct tagged)) { kept = callee; }
  int again(void) { struct tagged one = { 1, { 2, 3 }, { 4, 5, 6 } }; return kept(one).list[1]; }
  size_t sizes(int which) {
    switch (which) {
      case 0: return sizeof(struct tagged);
      case 1: return _Alignof(struct tagged);
      case 2: return offsetof(struct tagged, at);
      default: return offsetof(struct tagged, list);
    }
  }
`)
const other = memory.link(more)
const Point = struct('Point', { x: 'double', y: 'double' })
const Tagged = struct('Tagged', { tag: 'char', at: Point, list: array('int', 3) })

test('a type is laid out as C lays it out', t => {
  const sizes = other.function('sizes', { return: 'size_t', arguments: ['int'] })
  const ours = [sizeof(Tagged), alignof(Tagged), offsetof(Tagged, 'at'), offsetof(Tagged, 'list')]
  t.deepEqual(
    ours.map(BigInt),
    [0, 1, 2, 3].map(which => sizes(which)),
  )
})

test('names of an enumeration are passed, and numbers come back', t => {
  const Whence = enumeration('Whence', { SET: 0, CUR: 1, END: 7 })
  const next = other.function('next', { return: Whence, arguments: [Whence] })
  t.is(next('SET'), 1)
  t.is(next(1), 7)
  t.throws(() => next('TOP' as never), { code: 'ERR_INVALID_ARG_VALUE', message: /one of SET, CUR, END/ })
  t.throws(() => next(2 ** 31), { code: 'ERR_OUT_OF_RANGE' })
})

test('arrays and objects are lent to pointers, and what a function writes is put into them', t => {
  const total = other.function('total', { return: 'double', arguments: [pointer(Point), 'size_t'] })
  t.is(
    total(
      [
        { x: 2, y: 3 },
        { x: 4, y: 5 },
      ],
      2,
    ),
    26,
  )
  t.is(total({ x: 2, y: 3 }, 1), 6)
  t.is(total(Float64Array.of(2, 3), 1), 6)
  t.is(total(null, 0), 0)
  const divide = other.function('divide', { arguments: ['int', 'int', out('int'), out('int')] })
  const [quotient, rest] = [[0], [0]]
  divide(23, 5, quotient, rest)
  t.deepEqual([quotient, rest], [[4], [3]])
  const turn = other.function('turn', { arguments: [inout(Point)] })
  const point = { x: 1, y: 2 }
  turn(point)
  t.deepEqual(point, { x: -2, y: 1 })
  t.throws(
    () => {
      divide(1, 1, { 0: 1 } as never, [0])
    },
    { code: 'ERR_INVALID_ARG_TYPE' },
  )
})

known('a variadic function takes structures among the arguments that vary', t => {
  const vary = other.function('vary', { return: 'double', arguments: ['int', '...', Point, Point] })
  t.is(vary(2, { x: 5, y: 1 }, { x: 7, y: 2 }), 9)
})

known('nested structures and arrays go there and come back', t => {
  const tag = other.function('tag', { return: Tagged, arguments: [Tagged] })
  const value = { tag: 1, at: { x: 2, y: 3 }, list: [4, 5, 6] }
  t.deepEqual(tag(value), { tag: 2, at: { x: 3, y: 3 }, list: [4, 5, -6] })
  t.deepEqual(tag({ ...value, more: 1 } as never).list, [4, 5, -6], 'what is no field is ignored')
})

known('what a callback throws or returns wrongly comes out, and a disposed one leaves zeros in memory', t => {
  const keep = other.function('keep', { arguments: ['function'] })
  const again = other.function('again', { return: 'int' })
  const signature = { return: Tagged, arguments: [Tagged] } as const
  const callback = memory.callback(signature, one => ({ ...one, list: [1, (one.list[1] ?? 0) + one.at.y, 3] }))
  keep(callback.pointer)
  t.is(again(), 8)
  callback.dispose()
  t.is(again(), 0)
  const wrong = memory.callback(signature, () => ({ tag: 1 }) as never)
  keep(wrong.pointer)
  t.throws(() => void again(), { code: 'ERR_INVALID_ARG_TYPE', message: /\.at must be an object/ })
  wrong.dispose()
  const throws = memory.callback(signature, () => {
    throw new RangeError('mine')
  })
  keep(throws.pointer)
  t.throws(() => again(), { message: 'mine' })
  throws.dispose()
})

known('values that a structure does not have are refused before anything is called', t => {
  const tag = other.function('tag', { return: Tagged, arguments: [Tagged] }) as (value: unknown) => unknown
  const good = { tag: 1, at: { x: 2, y: 3 }, list: [4, 5, 6] }
  for (const [value, code, message] of [
    [5, 'ERR_INVALID_ARG_TYPE', /argument 1 must be an object/],
    [null, 'ERR_INVALID_ARG_TYPE', /argument 1/],
    // A `char` has a sign on x86-64 and none on Arm.
    [{ ...good, tag: 256 }, 'ERR_OUT_OF_RANGE', /argument 1\.tag/],
    [{ ...good, tag: 'a' }, 'ERR_INVALID_ARG_TYPE', /argument 1\.tag/],
    [{ ...good, at: { x: 1 } }, 'ERR_INVALID_ARG_TYPE', /argument 1\.at\.y must be a number; received undefined/],
    [{ ...good, list: [1, 2] }, 'ERR_INVALID_ARG_VALUE', /array of 3 values/],
    [{ ...good, list: 'abc' }, 'ERR_INVALID_ARG_TYPE', /array of 3 values/],
    [{ ...good, list: [1, 2, 0.5] }, 'ERR_OUT_OF_RANGE', /list\[2\]/],
    [new Uint8Array(40), 'ERR_INVALID_ARG_TYPE', /argument 1\.tag/],
  ] as const) {
    t.throws(() => tag(value), { code, message })
  }
  t.throws(() => (tag as () => unknown)(), { code: 'ERR_INVALID_ARG_COUNT' })
  t.throws(
    () =>
      tag({
        ...good,
        get at() {
          throw new Error('getter')
        },
      }),
    { message: 'getter' },
  )
})

test('types that there are not are refused', t => {
  const cyclic: Record<string, unknown> = {}
  cyclic['self'] = cyclic
  t.throws(() => struct('Cyclic', cyclic as never), { code: 'ERR_INVALID_ARG_TYPE', message: /Cyclic\.self/ })
  t.throws(() => struct('None', {}), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => struct('What', { a: 'int33' as never }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => array('int', 0), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => array('int', 2 ** 40), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => enumeration('E', { A: 0.5 }), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => enumeration('E', { A: 300 }, 'uint8'), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => offsetof(Point, 'z'), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => other.function('tag', { arguments: [array('int', 2) as never] }), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => new (Point.constructor as new () => NativeType)(), { instanceOf: TypeError })
})

known(
  'more bytes than a call passes are refused when the signature is made, unless they travel by their address',
  t => {
    const Large = struct('Large', { all: array('double', 65) })
    const make = () => other.function('last', { return: 'double', arguments: [Large] })
    if (onStack) t.throws(make, { code: 'ERR_CODESLAB_INVALID_SIGNATURE' })
    else t.is(make()({ all: Array.from({ length: 65 }, (_, index) => index) }), 64)
  },
)

/**
 * Calls that V8's optimizing compiler makes, on whichever Node runs this: `node --allow-natives-syntax fast-calls.mjs OBJECT`.
 * Whether they are fast is seen in the code, not in the time: `caller` returns the address that it was called from.
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { CodeMemory } from 'codeslab'

const memory = new CodeMemory()
const words = memory.link(readFileSync(process.argv[3]))
const externals = { entered: words.address('entered'), leave: words.address('leave') }
const image = memory.link(readFileSync(process.argv[2]), { externals })
const isExpected = process.env.CODESLAB_FAST_CALLS !== '0'
const hasBigints = Number(process.versions.v8.split('.')[0]) >= 12
const hasTypes = Number(process.versions.v8.split('.')[0]) >= 13

const prepare = new Function('f', '%PrepareFunctionForOptimization(f)')
const optimize = new Function('f', '%OptimizeFunctionOnNextCall(f)')
let unique = 0

/** A caller of `f` that has been optimized for calls with these values. */
function optimized(f, ...values) {
  const names = values.map((_, index) => `a${index}`).join()
  // Compiled anew each time: what one function was called with must not tell about another.
  const call = new Function('f', `return (${names}) => f(${names}) // ${unique++}`)(f)
  prepare(call)
  // (A function of Node-API has no code that could be optimized.)
  if (isExpected) prepare(f)
  for (let round = 0; round < 3; round++) call(...values)
  if (isExpected) optimize(f)
  optimize(call)
  call(...values)
  return call
}

/** Values of each type, at its ends, and some that it does not have. */
const numbers = {
  int8: [
    [-128, -1, 0, -0, 127],
    [-129, 128, 0.5, NaN, Infinity],
  ],
  uint8: [
    [0, 1, 255],
    [-1, 256, 1.5, NaN],
  ],
  int16: [
    [-32768, 0, 32767],
    [-32769, 32768, -0.5],
  ],
  uint16: [
    [0, 65535],
    [-1, 65536, Infinity],
  ],
  int32: [
    [-(2 ** 31), -1, 0, -0, 2 ** 31 - 1],
    [-(2 ** 31) - 1, 2 ** 31, 0.1, NaN, 2 ** 40],
  ],
  uint32: [
    [0, 2 ** 31, 2 ** 32 - 1],
    [-1, 2 ** 32, 1e300, -Infinity],
  ],
  float: [
    [0, -0, 1.5, Infinity, -Infinity, NaN, 3.4028234663852886e38, 2 ** -149],
    [3.5e38, -1e300],
  ],
  double: [[0, -0, 0.1, Number.MAX_VALUE, Infinity, NaN, Number.MIN_VALUE], []],
  int64: [
    [-(2n ** 63n), -1n, 0n, 2n ** 63n - 1n],
    [2n ** 63n, -(2n ** 63n) - 1n, 2 ** 53, 0.5],
  ],
  uint64: [
    [0n, 2n ** 63n, 2n ** 64n - 1n],
    [-1n, 2n ** 64n, 2n ** 100n, -1, 2 ** 53],
  ],
}

for (const [type, [values, refused]] of Object.entries(numbers)) {
  const echo = optimized(image.function(`echo_${type}`, { return: type, arguments: [type] }), values[0])
  for (const value of values) assert.equal(echo(value), Object.is(value, -0) && !/float|double/.test(type) ? 0 : value)
  for (const value of refused) assert.throws(() => echo(value), { code: 'ERR_OUT_OF_RANGE', name: 'RangeError' })
  for (const value of ['1', true, null, undefined, {}, [1], Symbol('one'), { valueOf: () => 1 }]) {
    assert.throws(() => echo(value), { code: 'ERR_INVALID_ARG_TYPE', name: 'TypeError' })
  }
  // What did not fit has not spoiled what does.
  for (const value of values) assert.equal(echo(value), Object.is(value, -0) && !/float|double/.test(type) ? 0 : value)
}
for (const type of ['int64', 'uint64']) {
  assert.equal(optimized(image.function(`echo_${type}`, { return: type, arguments: [type] }), 7)(8), 8n)
}

// Where a call comes from: native code of this module, unless it is fast.
const from = image.function('caller', { return: 'int32' })
const before = from()
assert.equal(optimized(from)() !== before, isExpected, 'fast, where it should be')
assert.equal(optimized(from)() !== before, isExpected)
const wide = image.function('caller_of', { return: 'uint64', arguments: ['uint64'] })
assert.equal(optimized(wide, 1n)(1n) !== wide(1), isExpected && hasBigints)
// Functions among the arguments may call JavaScript.
const risky = image.function('caller_with', { return: 'int32', arguments: ['function'] })
assert.equal(optimized(risky, null)(null), risky(null))

// What V8 does not know the type of, it makes an object of, as those of Node 20 and 22 do here: 16 bytes for each result.
const echo = image.function('echo_double', { return: 'double', arguments: ['double'] })
const chain = new Function('f', 'return n => { let x = 0.5; for (let k = 0; k < n; k++) x = f(x + 0.25); return x }')(
  echo,
)
prepare(chain)
if (isExpected) prepare(echo)
for (let round = 0; round < 3; round++) chain(100)
if (isExpected) optimize(echo)
optimize(chain)
chain(100)
const heapBefore = process.memoryUsage().heapUsed
assert.equal(chain(100_000), 0.5 + 100_000 / 4)
if (isExpected && hasTypes)
  assert.ok(process.memoryUsage().heapUsed - heapBefore < 400_000, 'results stay in registers')

// Every register and the words behind them.
const digits = image.function('digits', {
  return: 'double',
  arguments: ['int32', 'double', 'uint8', 'float', 'int16', 'double', 'uint32', 'int32', 'int8'],
})
const everything = optimized(digits, 1, 2, 3, 4, 5, 6, 7, 8, 9)
assert.equal(everything(1, 2, 3, 4, 5, 6, 7, 8, 9), 123456789)

// While there is a callback, fast calls are refused, and made again in the longer way, with the same values.
const echoes = Object.entries(numbers).map(([type, [values]]) => {
  const call = optimized(image.function(`echo_${type}`, { return: type, arguments: [type] }), values[0])
  return [call, values.filter(value => !Object.is(value, -0) || /float|double/.test(type))]
})
const nothing = optimized(image.function('nothing', {}))
const callback = memory.callback({}, () => undefined)
for (let round = 0; round < 3; round++) {
  assert.equal(everything(1, 2, 3, 4, 5, 6, 7, 8, 9), 123456789)
  for (const [call, values] of echoes) for (const value of values) assert.equal(call(value), value)
  assert.equal(nothing(), undefined)
}
callback.dispose()

const add = image.function('add', { return: 'int32', arguments: ['int32', 'int32'] })
const sum = optimized(add, 1, 2)
assert.equal(sum(40, 2), 42)
assert.equal(add.name, 'add')
assert.equal(add.pointer, image.address('add'))
const refused = wrong => {
  try {
    return wrong()
  } catch (error) {
    return `${error.name} ${error.code}`
  }
}
for (const wrong of [() => add(), () => add(1), () => add(1, 2, 3)]) {
  assert.equal(optimized(() => refused(wrong))(), 'TypeError ERR_INVALID_ARG_COUNT')
}

// Freed code is not jumped into, however optimized its callers are.
image.free()
for (let round = 0; round < 3; round++) assert.throws(() => sum(1, 2), { code: 'ERR_CODESLAB_FREED' })
assert.equal(memory.stats().live, 1, 'the words')

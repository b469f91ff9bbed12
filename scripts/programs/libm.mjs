// The mathematical library: bit for bit what the process's own library computes, whichever body each function chooses at run time.

import { Buffer } from 'node:buffer'

const unary = [
  'sin',
  'cos',
  'tan',
  'exp',
  'exp2',
  'log',
  'log2',
  'atan',
  'sinh',
  'cbrt',
  'erf',
  'lgamma',
  'floor',
  'rint',
  'ceil',
]
const binary = ['pow', 'atan2', 'fmod', 'hypot']
const values = [0, -0, 1, -1, 0.5, Math.PI, 1e-310, 1e300, -3.7, Infinity, NaN]
for (let value = 1e-6; value < 1e6; value *= 1.37) values.push(value, -value)

/** @type {import('./toolkit.mjs').Program} */
export const program = {
  title: 'libm',
  // A linker script on x86-64, which names two archives.
  archives: ['libm.a'],
  package: 'libc6-dev',
  run({ archive, equal, link, memory }) {
    const image = link([archive('libm.a')], ['libgcc.a'], { externals: inside(memory) })
    const check = (/** @type {string} */ name, /** @type {'double'[]} */ types, /** @type {number[][]} */ all) => {
      const signature = /** @type {const} */ ({ return: 'double', arguments: types })
      const own = image.function(name, signature)
      const slot = memory.slot(memory.processSymbol(name) ?? 0n)
      const system = slot.function(signature)
      for (const one of all) {
        const [first = 0, second = 0] = one
        const [found, expected] =
          types.length === 1 ? [own(first), system(first)] : [own(first, second), system(first, second)]
        equal(bits(found), bits(expected), `${name}(${one.join(', ')})`)
      }
      slot.free()
    }
    for (const name of unary)
      check(
        name,
        ['double'],
        values.map(value => [value]),
      )
    const pairs = values.flatMap((one, index) => values.slice(index % 5, 20).map(other => [one, other]))
    for (const name of binary) check(name, ['double', 'double'], pairs)
    image.free()
  },
}

/**
 * Where functions are that the C library has under other names for its own parts.
 *
 * @param {import('../../index.ts').CodeMemory} memory
 */
function inside(memory) {
  const names = ['frexp', 'ldexp', 'scalbn'].flatMap(name => ['', 'f', 'l', 'f128'].map(suffix => name + suffix))
  return Object.fromEntries(names.map(name => [`__${name}`, memory.processSymbol(name) ?? 0n]))
}

/** @param {number} value */
function bits(value) {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return Number.isNaN(value) ? 'NaN' : bytes.toString('hex')
}

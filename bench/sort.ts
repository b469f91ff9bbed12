/**
 * The C library's `qsort` of 100,000 integers with a comparator of JavaScript: `node bench/sort.ts CALLEE COUNT`. The callee is `codeslab` or
 * `koffi`, which is looked for where CODESLAB_KOFFI says. One sort is one object, and the time is that of the fastest.
 *
 * Each comparator reads what its library makes easy: codeslab passes addresses, which are indices of a live view; koffi decodes pointers.
 */

import { createRequire } from 'node:module'
import { CodeMemory } from 'codeslab'
import { print } from './measure.ts'

const SORTED = 100_000

const [, , callee = '', rounds = '5'] = process.argv
const memory = new CodeMemory()
const { values } = memory.allocate({ values: { protection: 'rw', size: SORTED * 4 } }).finalize()
const { buffer, byteOffset } = values.view()
const numbers = new Int32Array(buffer, byteOffset, SORTED)
const sort = callee === 'koffi' ? byKoffi() : byCodeslab()

let best = Infinity
for (let round = 0; round < Number(rounds); round++) {
  for (let index = 0; index < SORTED; index++) numbers[index] = (index * 7_919) % 99_991
  const start = performance.now()
  sort()
  best = Math.min(best, (performance.now() - start) * 1000)
  if (!numbers.every((number, index) => index === 0 || (numbers[index - 1] ?? 0) <= number)) throw new Error('unsorted')
}
print({ objects: Number(rounds), failed: 0, us_per_object: best })

function byCodeslab(): () => void {
  const compare = { return: 'int', arguments: ['pointer', 'pointer'] } as const
  const qsort = memory.functionAt(memory.processSymbol('qsort') ?? 0n, {
    arguments: ['pointer', 'size_t', 'size_t', compare],
  })
  const base = values.address
  const at = (address: bigint) => numbers[Number(address - base) / 4] ?? 0
  return () => {
    qsort(base, SORTED, 4, (a, b) => at(a) - at(b))
  }
}

function byKoffi(): () => void {
  const require = createRequire(process.env['CODESLAB_KOFFI'] ?? import.meta.url)
  const koffi = require('koffi') as {
    load: (library: null) => { func: (prototype: string) => (...values: unknown[]) => void }
    proto: (prototype: string) => unknown
    decode: (pointer: unknown, type: string) => number
  }
  const library = koffi.load(null)
  koffi.proto('int compare(const void *a, const void *b)')
  const qsort = library.func('void qsort(void *all, size_t count, size_t size, compare *by)')
  return () => {
    qsort(numbers, SORTED, 4, (a: unknown, b: unknown) => koffi.decode(a, 'int') - koffi.decode(b, 'int'))
  }
}

/**
 * What codeslab does, on real input: a C file through a real compiler, then zlib, as its authors wrote it.
 *
 *     npm run demo
 */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 as nodeCrc32, deflateSync, inflateSync } from 'node:zlib'
import { CodeMemory, type Image } from 'codeslab'
import { bytes, draw } from './draw.ts'

/** `libz.a`, which `npm run demo` builds from zlib's source and names here. */
const libz = process.argv[2]
assert(libz, 'the path of a libz.a is missing: npm run demo gives one')

const memory = new CodeMemory()
console.log(memory)

title('A C file, compiled by cc, linked and called')
const c = link('demo.c', compile(join(import.meta.dirname, 'demo.c')))
callDemo(c)

title('zlib, compiled by cc as well, against the one in Node')
const zlib = link('libz.a', readFileSync(libz))
compareWithNode(zlib)

title('Where it all is')
console.log(draw(memory.layout()))
printStats()

title('And gone again')
c.free()
zlib.free()
printStats()
assert.equal(memory.stats().live, 0)
assert.equal(memory.stats().usedBytes, 0)
assert.throws(() => c.address('add'), { code: 'ERR_CODESLAB_FREED' })
console.log('\nEverything was as expected.')

function compile(source: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-demo-'))
  try {
    const object = join(folder, 'demo.o')
    execFileSync('cc', ['-O2', '-c', source, '-o', object], { stdio: 'inherit' })
    return readFileSync(object)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function link(name: string, input: Buffer): Image {
  const start = performance.now()
  const image = memory.link({ name, bytes: input })
  const microseconds = Math.round((performance.now() - start) * 1000)
  console.log(`linked ${name} (${bytes(input.length)}) in ${microseconds.toLocaleString('en')} µs`)
  return image
}

function callDemo(image: Image): void {
  const add = image.function('add', { return: 'int32', arguments: ['int32', 'int32'] })
  show('add(40, 2)', add(40, 2), 42)

  const area = image.function('circle_area', { return: 'double', arguments: ['double'] })
  show('circle_area(2)', area(2), Math.PI * 4)

  const planet = image.function('planet_name', { return: 'uint32', arguments: ['uint32', 'pointer', 'uint32'] })
  const name = Buffer.alloc(16)
  show('planet_name(2)', name.toString('latin1', 0, planet(2, name, name.length)), 'Earth')

  const take = image.function('take_ticket', { return: 'int64', arguments: [] })
  const taken = image.function('tickets_taken', { return: 'uint32', arguments: [] })
  show('three tickets', [take(), take(), take()].join(' '), '1000 1001 1002')
  show('tickets_taken()', taken(), 3)

  const sort = image.function('sort', { return: 'void', arguments: ['pointer', 'uint32'] })
  const values = Int32Array.of(5, -3, 12, 0, 7)
  sort(values, values.length)
  show('sort by libc’s qsort', values.join(' '), '-3 0 5 7 12')

  const sumOver = image.function('sum_over', { return: 'int64', arguments: ['pointer', 'int64', 'int64'] })
  show('sum_over(square, 1, 100)', sumOver(image.address('square'), 1, 100), 338350n)

  callWithManyArguments(image)
}

function callWithManyArguments(image: Image): void {
  const weigh = image.function('weigh', {
    return: 'double',
    arguments: [
      ...(['int32', 'double', 'int64', 'float', 'uint8', 'double', 'uint16', 'double', 'int32'] as const),
      ...(['double', 'int64', 'double', 'int8', 'double', 'uint64', 'double', 'double', 'double'] as const),
    ],
  })
  const result = weigh(1, 1, 1n, 1, 1, 1, 1, 1, 1, 1, 1n, 1, 1, 1, 1n, 1, 1, 1)
  show('weigh(1, … 18 arguments)', result, (18 * 19) / 2)
}

/** Compresses with the linked zlib and with the one in Node, and reads each other's results. */
function compareWithNode(image: Image): void {
  const checksum = { return: 'uint64', arguments: ['uint64', 'pointer', 'uint32'] } as const
  const convert = { return: 'int32', arguments: ['pointer', 'pointer', 'pointer', 'uint64'] } as const
  const crc32 = image.function('crc32', checksum)
  const adler32 = image.function('adler32', checksum)
  const bound = image.function('compressBound', { return: 'uint64', arguments: ['uint64'] })
  const compress = image.function('compress2', { return: 'int32', arguments: [...convert.arguments, 'int32'] })
  const uncompress = image.function('uncompress', convert)

  // The machine code of Node itself: real, and not too easy to compress.
  const data = readFileSync(process.execPath).subarray(2 ** 24, 2 ** 24 + 2 ** 22)
  const deflated = timed('deflate by node:zlib', () => deflateSync(data, { level: 6 }))
  show('crc32', crc32(0n, data, data.length), BigInt(nodeCrc32(data)))
  show('adler32', adler32(1n, data, data.length), BigInt(deflated.readUInt32BE(deflated.length - 4)))

  const packed = Buffer.alloc(Number(bound(data.length)))
  const size = BigUint64Array.of(BigInt(packed.length))
  show(
    'compress2',
    timed('compress2', () => compress(packed, size, data, data.length, 6)),
    0,
  )
  const ours = packed.subarray(0, Number(size[0]))
  console.log(`  ${bytes(data.length)} became ${bytes(ours.length)}; node:zlib made ${bytes(deflated.length)} of it`)
  show('inflate by node:zlib gives the data', inflateSync(ours).equals(data), true)

  const unpacked = Buffer.alloc(data.length)
  size[0] = BigInt(unpacked.length)
  show('uncompress of what node:zlib made', uncompress(unpacked, size, deflated, deflated.length), 0)
  show('and that gives the data too', unpacked.equals(data), true)
}

function timed<Result>(name: string, action: () => Result): Result {
  const start = performance.now()
  const result = action()
  console.log(`  ${name}: ${(performance.now() - start).toFixed(0)} ms`)
  return result
}

function show<Value>(what: string, value: Value, expected: Value): void {
  console.log(`  ${what.padEnd(36)} = ${String(value)}`)
  assert.equal(value, expected, what)
}

function printStats(): void {
  const { blocks, live, usedBytes, committedBytes, mappings } = memory.stats()
  console.log(
    `\nlive allocations: ${live}, used: ${bytes(usedBytes)} of ${bytes(committedBytes)} committed, ` +
      `blocks: ${blocks}, mappings: ${mappings}`,
  )
}

function title(text: string): void {
  console.log(`\n── ${text} ${'─'.repeat(Math.max(0, 76 - text.length))}`)
}

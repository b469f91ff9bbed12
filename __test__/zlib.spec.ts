import test from 'ava'
import { createHash } from 'node:crypto'
import { crc32, deflateSync, inflateSync } from 'node:zlib'
import { CodeMemory } from '../index.ts'
import { builtLibrary } from './helpers/compile.ts'
import { generator } from './helpers/random.ts'
import { branchTo } from './helpers/relocated-code.ts'

const memory = new CodeMemory()
const libz = { name: 'libz.a', bytes: builtLibrary('libz.a') }
const image = memory.link(libz)

/** One mebibyte that compresses, but not too well. */
const data = Buffer.alloc(2 ** 20)
const random = generator(7)
for (let index = 0; index < data.length; index++) data[index] = random() * random() * 200

/** What zlib calls `uLong` has 32 bits on Windows and 64 elsewhere; numbers here have no more than 32. */
const checksum = { return: 'uint32', arguments: ['uint32', 'pointer', 'uint32'] } as const
const convert = { return: 'int32', arguments: ['pointer', 'pointer', 'pointer', 'uint32'] } as const

/** The Adler-32 checksum, which node:zlib writes to the end of what it compresses. */
function adlerOf(bytes: Buffer): number {
  const deflated = deflateSync(bytes)
  return deflated.readUInt32BE(deflated.length - 4)
}

test('the checksums of the linked zlib are those of node:zlib', t => {
  const crc = image.function('crc32', checksum)
  const adler = image.function('adler32', checksum)
  for (const length of [0, 1, 9, 1000, 65_537, data.length]) {
    const bytes = data.subarray(0, length)
    t.is(crc(0, bytes, length), crc32(bytes))
    t.is(adler(1, bytes, length), adlerOf(bytes))
  }
})

test('node:zlib reads what the linked zlib compresses, at every level', t => {
  const bound = image.function('compressBound', { return: 'uint32', arguments: ['uint32'] })
  const compress2 = image.function('compress2', { return: 'int32', arguments: [...convert.arguments, 'int32'] })
  for (const level of [0, 1, 6, 9]) {
    const packed = Buffer.alloc(bound(data.length))
    const size = BigUint64Array.of(BigInt(packed.length))
    t.is(compress2(packed, size, data, data.length, level), 0)
    const ours = packed.subarray(0, Number(size[0]))
    t.true(inflateSync(ours).equals(data), `level ${String(level)}`)
  }
})

test('the linked zlib reads what node:zlib compresses', t => {
  const uncompress = image.function('uncompress', convert)
  const packed = deflateSync(data)
  const unpacked = Buffer.alloc(data.length)
  const size = BigUint64Array.of(BigInt(unpacked.length))
  t.is(uncompress(unpacked, size, packed, packed.length), 0)
  t.is(digest(unpacked), digest(data))
  t.is(uncompress(unpacked, size, data, 100), -3, 'Z_DATA_ERROR')
})

test('roots take only the members that they need', t => {
  const part = memory.link(libz, { roots: ['adler32'] })
  const names = new Set(part.symbols().map(({ object }) => object))
  t.deepEqual([...names], ['libz.a(adler32.o)'])
  t.is(part.function('adler32', checksum)(1, data, data.length), adlerOf(data))
  t.like(
    t.throws(() => part.address('crc32')),
    { code: 'ERR_CODESLAB_UNKNOWN_SYMBOL', symbol: 'crc32' },
  )
  part.free()
})

test('a library gives what is missing, and nothing else', t => {
  const { bytes } = libz
  const caller = memory.link(
    {
      name: 'caller.s',
      sections: [
        {
          name: '.text',
          protection: 'rx',
          ...branchTo('crc32'),
        },
      ],
      symbols: [{ name: 'check', section: '.text' }],
    },
    { libraries: [{ name: 'libz.a', bytes }], processSymbols: false },
  )
  t.is(caller.function('check', checksum)(0, data, data.length), crc32(data))
  t.false(caller.symbols().some(({ name }) => name === 'deflate'))
  caller.free()
})

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

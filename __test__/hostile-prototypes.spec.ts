/** Prototypes that are patched, and objects, lists and numbers of other classes. */

import test from 'ava'
import { CodeMemory, Image, type InFlight, type LinkInput, type SectionRequest } from '../index.ts'
import { compile } from './helpers/compile.ts'
import { codeOf, Liar } from './helpers/hostile.ts'
import { add, answer, binary, loadByte, nullary } from './helpers/machine-code.ts'
import { answerField } from './helpers/relocated-code.ts'

const memory = new CodeMemory()
const object = compile('int seven(void) { return 7; } extern int other(void); int eight(void) { return other() + 1; }')

const { text: peekCode } = memory.allocate({ text: { protection: 'rx', bytes: loadByte } }).finalize()
const peek = peekCode.function({ return: 'uint8', arguments: ['pointer'] })

/** What lies at an address. */
function contentOf({ address, size }: { address: bigint; size: number }): number[] {
  return Array.from({ length: size }, (_, index) => peek(address + BigInt(index)))
}

/** A property of a prototype or class, and what it is for the time of a test. */
interface Patch {
  readonly of: object
  readonly name: PropertyKey
  readonly is: PropertyDescriptor
  readonly was: PropertyDescriptor | undefined
}

/** What a hostile or careless program may have made of the prototypes. */
function lies(): Patch[] {
  const patches: Patch[] = []
  const lie = (of: object, names: readonly PropertyKey[], is: PropertyDescriptor) => {
    for (const name of names) {
      const was = Reflect.getOwnPropertyDescriptor(of, name)
      patches.push({ of, name, is: { configurable: true, ...is }, was })
    }
  }
  const method = { value: () => [] as unknown[], writable: true }
  const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object
  lie(Array.prototype, ['map', 'forEach', 'flatMap', 'push', 'slice', 'concat', 'values', 'entries', 'filter'], method)
  lie(Array.prototype, [Symbol.iterator], method)
  lie(Array.prototype, [0, 1, 2], { set: () => undefined, get: () => 'inherited' })
  lie(Array as object, [Symbol.species], { get: () => Liar })
  lie(typedArray, ['length', 'byteLength', 'byteOffset'], { get: () => 4096 })
  lie(typedArray, ['buffer'], { get: () => new ArrayBuffer(4096) })
  lie(typedArray, ['set', 'subarray', 'slice', 'fill', 'at'], method)
  lie(DataView.prototype, ['setFloat64', 'setBigUint64'], method)
  lie(Buffer.prototype as object, ['writeDoubleLE', 'writeBigUInt64LE', 'write', 'subarray'], method)
  lie(TextEncoder.prototype, ['encode', 'encodeInto'], method)
  lie(Map.prototype, ['get', 'has', 'set', 'forEach', 'keys', 'entries'], method)
  lie(Set.prototype, ['has', 'add'], method)
  lie(Object, ['keys', 'entries', 'assign', 'fromEntries', 'freeze'], method)
  lie(Number, ['isSafeInteger'], { value: () => true, writable: true })
  lie(Math, ['max', 'min'], { value: () => 0, writable: true })
  lie(Function.prototype, ['call', 'bind', 'apply'], method)
  lie(Reflect, ['apply', 'construct', 'get', 'ownKeys'], method)
  return patches
}

/** Does something while the prototypes lie. What it returns must not need them. */
function amongLies<T>(action: () => T): T {
  const patches = lies()
  const { defineProperty, deleteProperty } = Reflect
  const count = patches.length
  for (let index = 0; index < count; index++) {
    const { of, name, is } = patches[index] as Patch
    defineProperty(of, name, is)
  }
  try {
    return action()
  } finally {
    for (let index = 0; index < count; index++) {
      const { of, name, was } = patches[index] as Patch
      if (was === undefined) deleteProperty(of, name)
      else defineProperty(of, name, was)
    }
  }
}

test('what prototypes are patched with is not asked: sections have their bytes, graphs their parts', t => {
  const bytes = answer(41)
  const constants = Buffer.from(object)
  const made = amongLies(() => {
    const inFlight = memory.allocate({
      text: { protection: 'rx', bytes },
      table: { protection: 'ro', bytes: constants },
      state: { protection: 'rw', size: 8 },
      more: { protection: 'ro', size: 3 },
    })
    const image = memory.link({
      sections: [
        {
          name: '.text',
          protection: 'rx',
          bytes,
          relocations: [{ ...answerField, symbol: 'number' }],
        },
      ],
      symbols: [
        { name: 'f', section: '.text' },
        { name: 'number', address: 43 },
      ],
    })
    const call = image.function('f', { return: 'int32', arguments: [] })
    return { placed: inFlight.finalize(), call, image }
  })
  t.is(made.placed.text.function(nullary)(), 41)
  t.deepEqual(contentOf(made.placed.table), [...object])
  t.is(made.call(), 43)
  made.image.free()
  made.placed.free()
})

test('what prototypes are patched with does not make a bad value a good one', t => {
  const inFlight = memory.allocate({ text: { protection: 'rx', bytes: add } })
  const codes = amongLies(() => {
    const code = (action: () => unknown): unknown => {
      try {
        return action()
      } catch (error) {
        return (error as { code: unknown }).code
      }
    }
    return {
      size: code(() => memory.allocate({ text: { protection: 'rx', size: -1 } })),
      protection: code(() => memory.allocate({ text: { protection: 'rwx' as 'rx', size: 1 } })),
      misspelt: code(() => memory.allocate({ text: { protection: 'rx', size: 1, aline: 8 } as SectionRequest })),
      twice: code(() => memory.finalizeAll([inFlight, inFlight])),
      address: code(() => memory.find(-1)),
      freed: code(() => Image.open('nonsense')),
    }
  })
  t.deepEqual(codes, {
    size: 'ERR_CODESLAB_INVALID_SIZE',
    protection: 'ERR_INVALID_ARG_VALUE',
    misspelt: 'ERR_INVALID_ARG_VALUE',
    twice: 'ERR_INVALID_ARG_VALUE',
    address: 'ERR_OUT_OF_RANGE',
    freed: 'ERR_CODESLAB_UNKNOWN_TOKEN',
  })
  inFlight.abandon()
})

test('values that say they are numbers are not asked which', t => {
  let asked = 0
  const number = {
    valueOf: () => (asked++, 8),
    toString: () => (asked++, '8'),
    [Symbol.toPrimitive]: () => (asked++, 8),
  }
  const is = (action: () => unknown) => {
    t.is(codeOf(action), 'ERR_INVALID_ARG_TYPE')
  }
  const inFlight = memory.allocate({ text: { protection: 'rx', bytes: add } })
  is(() => memory.allocate({ text: { protection: 'rx', size: number as never } }))
  is(() => memory.allocate({ text: { protection: 'rx', size: 8, align: number as never } }))
  is(() => memory.allocate({ text: { protection: number as never, size: 8 } }))
  is(() => memory.allocate({ text: { protection: 'rx', size: 8 } }, { near: { address: 0, reach: number as never } }))
  is(() => {
    inFlight.text.write(add, number as never)
  })
  is(() => {
    inFlight.text.shrink(number as never)
  })
  is(() => memory.find(number as never))
  is(() => {
    memory.endGracePeriod(number as never)
  })
  is(() => new CodeMemory({ blockSize: number as never }))
  is(() => new CodeMemory({ writer: number as never }))
  is(() => memory.link(object, { externals: { other: number as never } }))
  const { text } = inFlight.finalize()
  is(() => text.function(binary, number as never))
  is(() => text.function({ return: number as never }))
  is(() => text.function(binary)(number as never, 1))
  t.is(asked, 0)
})

test('lists that say they are longer than they are, or another class, are what they hold', t => {
  class Odd<T> extends Array<T> {
    static override get [Symbol.species](): ArrayConstructor {
      throw new Error('nothing is asked of species')
    }
    override [Symbol.iterator](): ArrayIterator<T> {
      throw new Error('nothing is iterated')
    }
  }
  const inFlight = memory.allocate({ text: { protection: 'rx', bytes: add } }) as InFlight<string>
  const batch = Odd.of(inFlight)
  t.is(memory.finalizeAll(batch).length, 1)
  t.notThrows(() => {
    memory.link(Odd.of(object), { externals: { other: 1n }, roots: Odd.of<string>('seven') }).free()
  })
  for (const length of [-1, 0.5, NaN, Infinity, 2 ** 60, '1', { valueOf: () => 1 }]) {
    const list = new Proxy([] as LinkInput[], {
      get: (target, name) => (name === 'length' ? length : (Reflect.get(target, name) as unknown)),
    })
    t.is(
      codeOf(() => memory.link(list)),
      'ERR_INVALID_ARG_TYPE',
    )
  }
  const sparse: unknown[] = []
  sparse.length = 2 ** 32 - 1
  t.is(
    codeOf(() => memory.link(sparse as LinkInput[])),
    'ERR_INVALID_ARG_TYPE',
  )
  t.is(
    codeOf(() => memory.link(object, { roots: sparse as string[] })),
    'ERR_INVALID_ARG_TYPE',
  )
  t.is(
    codeOf(() => memory.finalizeAll(sparse as [])),
    'ERR_INVALID_ARG_TYPE',
  )
  t.is(
    codeOf(() => peekCode.function({ arguments: sparse as [] })),
    'ERR_INVALID_ARG_TYPE',
  )
})

test('each property is read once', t => {
  const reads = new Map<PropertyKey, number>()
  const counted = <T extends object>(target: T, name = ''): T =>
    new Proxy(target, {
      get: (_, key) => {
        reads.set(`${name}.${String(key)}`, (reads.get(`${name}.${String(key)}`) ?? 0) + 1)
        return Reflect.get(target, key) as unknown
      },
    })
  const section: SectionRequest = { protection: 'rx', bytes: add, size: 16, align: 16 }
  memory
    .allocate(
      counted({ text: counted(section, 'section') }, 'sections'),
      counted(
        {
          near: counted({ address: peekCode.address, reach: 2 ** 30 }, 'near'),
          within: counted([counted({ first: 0n, last: 2n ** 47n }, 'window')], 'within'),
        },
        'placement',
      ),
    )
    .abandon()
  memory
    .link(
      counted(
        {
          name: 'made',
          sections: counted(
            [
              counted(
                {
                  name: '.text',
                  protection: 'rx',
                  bytes: add,
                  align: 16,
                  relocations: counted([], 'relocations'),
                } as const,
                'part',
              ),
            ],
            'parts',
          ),
          symbols: counted(
            [counted({ name: 'f', section: '.text', offset: 0, size: 1, binding: 'global' } as const, 'symbol')],
            'symbols',
          ),
        },
        'graph',
      ),
      counted(
        {
          externals: counted({ other: 1n }, 'externals'),
          roots: counted(['f'], 'roots'),
          libraries: counted([], 'libraries'),
          processSymbols: false,
        },
        'options',
      ),
    )
    .free()
  new CodeMemory(counted({ blockSize: 2 ** 20, writer: 'auto', sealed: false } as const, 'memory'))
  t.deepEqual(
    [...reads].filter(([, count]) => count !== 1),
    [],
  )
  t.true(reads.size > 30)
})

test('a value that cannot even be shown is refused by its type', t => {
  const shy = {
    get [Symbol.toStringTag]() {
      throw new Error('not shown')
    },
    [Symbol.for('nodejs.util.inspect.custom')]() {
      throw new Error('not shown')
    },
  }
  t.is(
    codeOf(() => memory.find(shy as never)),
    'ERR_INVALID_ARG_TYPE',
  )
  t.is(
    codeOf(() => memory.allocate({ text: { protection: shy as never, size: 1 } })),
    'ERR_INVALID_ARG_TYPE',
  )
})

import test from 'ava'
import { CodeMemory, CodeslabError, Image, type CodeMemoryOptions, type LinkInput } from '../index.ts'
import { archive, compile } from './helpers/compile.ts'
import { generator } from './helpers/random.ts'
import { foreignCodeModel, ret } from './helpers/machine-code.ts'

const object = compile(`
  int nobody(void) __attribute__((weak));
  static const int table[] = {1, 2, 3};
  static int count;
  int f(int i) { return nobody ? nobody() : table[i] + ++count; }
`)
const library = archive({ 'a.o': object, 'b.o': compile('int b(void) { return 2; }') })

const codeOf = (action: () => unknown): string => {
  try {
    action()
    return 'nothing'
  } catch (error) {
    return String((error as { code?: unknown }).code)
  }
}

/** Asserts that a memory is as if nothing had happened, and works. */
function assertUnharmed(t: { is: (a: unknown, b: unknown, message?: string) => void }, memory: CodeMemory): void {
  const { live, inFlight, usedBytes } = memory.stats()
  t.is(`${String(live)} ${String(inFlight)} ${String(usedBytes)}`, '0 0 0', 'nothing leaks')
  const image = memory.link(object)
  t.is(image.function('f', { return: 'int32', arguments: ['int32'] })(2), 4)
  image.free()
}

test('sizes and alignments that cannot be are refused each by its code', t => {
  const memory = new CodeMemory()
  const allocate = (section: object) =>
    codeOf(() => memory.allocate({ text: { protection: 'rx', ...section } as never }))
  for (const size of [0, -1, 0.5, NaN, Infinity, -Infinity, 2 ** 53])
    t.is(allocate({ size }), 'ERR_CODESLAB_INVALID_SIZE')
  for (const size of [2 ** 40, 2 ** 52, 2 ** 53 - 1]) t.is(allocate({ size }), 'ERR_CODESLAB_TOO_LARGE')
  for (const size of [undefined, null, '64', 64n]) t.is(allocate({ size }), 'ERR_INVALID_ARG_TYPE')
  for (const align of [0, -1, 3, 0.5, NaN, 2 ** 23, 2 ** 60]) {
    t.is(allocate({ size: 1, align }), 'ERR_CODESLAB_INVALID_ALIGNMENT', String(align))
  }
  t.is(allocate({ size: 1, align: '16' }), 'ERR_INVALID_ARG_TYPE')
  t.is(allocate({ bytes: new Uint8Array(0) }), 'ERR_CODESLAB_INVALID_SIZE')
  t.is(allocate({ bytes: Buffer.alloc(8), size: 4 }), 'ERR_CODESLAB_OUT_OF_BOUNDS')
  t.is(allocate({ bytes: 'text' }), 'ERR_INVALID_ARG_TYPE')
  assertUnharmed(t, memory)
})

test('an alignment larger than a block of this memory is refused', t => {
  const memory = new CodeMemory({ blockSize: 4 * CodeMemory.capabilities().granularity })
  const align = codeOf(() => {
    memory.allocate({ text: { protection: 'rx', size: 1, align: 2 ** 20 } }).abandon()
  })
  t.true(['ERR_CODESLAB_INVALID_ALIGNMENT', 'nothing'].includes(align), align)
  assertUnharmed(t, memory)
})

test('requests of wrong types are refused', t => {
  const memory = new CodeMemory()
  for (const request of [null, undefined, 7, 'text', [], { text: null }, { text: 7 }]) {
    t.is(
      codeOf(() => memory.allocate(request as never)),
      'ERR_INVALID_ARG_TYPE',
    )
  }
  t.is(
    codeOf(() => memory.allocate({})),
    'ERR_CODESLAB_EMPTY_REQUEST',
  )
  const section = { protection: 'rx', size: 1 } as const
  t.is(
    codeOf(() => memory.allocate({ text: { ...section, protection: 'rwx' as 'rx' } })),
    'ERR_INVALID_ARG_VALUE',
  )
  t.is(
    codeOf(() => memory.allocate({ text: { ...section, protection: undefined as never } })),
    'ERR_INVALID_ARG_TYPE',
  )
  for (const name of ['finalize', 'abandon', 'free', 'freed', 'constructor', 'toString', '__proto__', 'then']) {
    t.is(
      codeOf(() => memory.allocate(Object.fromEntries([[name, section]]))),
      'ERR_CODESLAB_INVALID_SECTION_NAME',
      name,
    )
  }
  const placements: [unknown, string][] = [
    [7, 'ERR_INVALID_ARG_TYPE'],
    [{ within: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ within: [7] }, 'ERR_INVALID_ARG_TYPE'],
    [{ within: [{ first: 2, last: 1 }] }, 'ERR_OUT_OF_RANGE'],
    [{ within: [{ first: -1, last: 1 }] }, 'ERR_OUT_OF_RANGE'],
    [{ within: [{ first: 0, last: 2n ** 64n }] }, 'ERR_OUT_OF_RANGE'],
    [{ near: 'here' }, 'ERR_INVALID_ARG_TYPE'],
    [{ near: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ near: 0.5 }, 'ERR_OUT_OF_RANGE'],
    [{ near: { address: 0, reach: -1 } }, 'ERR_OUT_OF_RANGE'],
  ]
  for (const [placement, code] of placements) {
    t.is(
      codeOf(() => memory.allocate({ text: section }, placement as object)),
      code,
      JSON.stringify(placement, (_, v: unknown) => String(v)),
    )
  }
  assertUnharmed(t, memory)
})

test('writes out of bounds change nothing', t => {
  const memory = new CodeMemory()
  const inFlight = memory.allocate({ text: { protection: 'rx', size: 8 } })
  const write = (offset: unknown, bytes: unknown = Buffer.alloc(4)) =>
    codeOf(() => {
      inFlight.text.write(bytes as Buffer, offset as number)
    })
  for (const offset of [5, 8, 9, -1, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
    t.is(write(offset), 'ERR_CODESLAB_OUT_OF_BOUNDS', String(offset))
  }
  for (const offset of [0.5, NaN, Infinity, 2 ** 60]) t.is(write(offset), 'ERR_OUT_OF_RANGE', String(offset))
  for (const offset of ['0', 0n, null]) t.is(write(offset), 'ERR_INVALID_ARG_TYPE')
  for (const bytes of ['text', null, 7, [1]]) t.is(write(0, bytes), 'ERR_INVALID_ARG_TYPE')
  t.is(write(4), 'nothing')
  t.is(write(8, Buffer.alloc(0)), 'nothing')
  inFlight.abandon()
  assertUnharmed(t, memory)
})

test('a function outside of its section or in data is refused', t => {
  const memory = new CodeMemory()
  const inFlight = memory.allocate({
    text: { protection: 'rx', bytes: ret },
    state: { protection: 'rw', size: 8 },
  })
  const allocation = inFlight.finalize()
  for (const offset of [ret.length, -1, 2 ** 40])
    t.is(
      codeOf(() => allocation.text.function({}, offset)),
      'ERR_CODESLAB_OUT_OF_BOUNDS',
    )
  t.is(
    codeOf(() => allocation.text.function({}, 0.5)),
    'ERR_OUT_OF_RANGE',
  )
  t.is(
    codeOf(() => allocation.text.function({}, '0' as never)),
    'ERR_INVALID_ARG_TYPE',
  )
  t.is(
    codeOf(() => allocation.state.function({})),
    'ERR_CODESLAB_NOT_EXECUTABLE',
  )
  allocation.free()
  assertUnharmed(t, memory)
})

test('options that cannot be are refused each by its code', t => {
  const open = (options: unknown) => codeOf(() => new CodeMemory(options as CodeMemoryOptions))
  for (const blockSize of [0, 1, -16384, 4096, 12345, 0.5, NaN, Infinity, 2 ** 40, 2 ** 52]) {
    t.is(open({ blockSize }), 'ERR_CODESLAB_INVALID_BLOCK_SIZE', String(blockSize))
  }
  t.is(open({ blockSize: '16384' }), 'ERR_INVALID_ARG_TYPE')
  t.is(open({ writer: 'pencil' }), 'ERR_CODESLAB_WRITER_UNAVAILABLE')
  t.is(open({ writer: 7 }), 'ERR_INVALID_ARG_TYPE')
  t.is(open({ codeModel: 'enormous' }), 'ERR_CODESLAB_UNSUPPORTED_CODE_MODEL')
  t.is(open({ codeModel: foreignCodeModel }), 'ERR_CODESLAB_UNSUPPORTED_CODE_MODEL')
  t.is(open({ codeModel: null }), 'ERR_INVALID_ARG_TYPE')
  t.is(open({ constants: 'elsewhere' }), 'ERR_INVALID_ARG_VALUE')
  t.is(open({ constants: 1 }), 'ERR_INVALID_ARG_TYPE')
  t.is(open({ quarantine: 'on' }), 'ERR_INVALID_ARG_VALUE')
  t.is(open({ quarantine: true }), 'ERR_INVALID_ARG_TYPE')
  for (const sealed of [null, 1, 'true']) t.is(open({ sealed }), 'ERR_INVALID_ARG_TYPE')
  for (const hardened of [null, 0, 'yes']) t.is(open({ hardened }), 'ERR_INVALID_ARG_TYPE')
  for (const branchProtection of [null, 0, 'standard']) t.is(open({ branchProtection }), 'ERR_INVALID_ARG_TYPE')
  for (const guardPages of [null, 1, 'on']) t.is(open({ guardPages }), 'ERR_INVALID_ARG_TYPE')
  t.is(open({ sealed: true, writer: 'protect' }), 'ERR_CODESLAB_WRITER_UNAVAILABLE')
  for (const limit of ['maxCommitted', 'maxMappings']) {
    for (const value of [0, -1, 0.5, NaN, Infinity, 2 ** 53]) t.is(open({ [limit]: value }), 'ERR_OUT_OF_RANGE')
    for (const value of [null, '1', 1n]) t.is(open({ [limit]: value }), 'ERR_INVALID_ARG_TYPE')
    for (const value of [undefined, 1, 2 ** 53 - 1]) t.is(open({ [limit]: value }), 'nothing')
  }
  for (const options of [null, 7, 'auto', []]) t.is(open(options), 'ERR_INVALID_ARG_TYPE')
  t.is(open({ writer: 'auto', blockSize: undefined, codeModel: 'large' }), 'nothing')
})

test('properties that are misspelt are refused, with those that there are', t => {
  const memory = new CodeMemory()
  const section = { protection: 'rx', size: 1 } as const
  const place = (request: object, placement?: object) =>
    memory.allocate({ text: { ...section, ...request } }, placement)
  const graph = (part: object) =>
    memory.link({ name: 'made.s', sections: [{ name: '.text', protection: 'rx', size: 1 }], ...part })
  const text = { name: '.text', protection: 'rx', size: 8 }
  const nodeStyle: object = { parameters: ['int32'] }
  const refusals: [() => unknown, string][] = [
    [
      () => new CodeMemory({ blocksize: 2 ** 20 } as object),
      "options cannot have a property 'blocksize'; it can have blockSize, codeModel, writer, constants, quarantine, " +
        'maxCommitted, maxMappings, sealed, hardened, guardPages, branchProtection, perf, jitdump, gdb',
    ],
    [
      () => memory.link(object, { library: [] } as object),
      "options cannot have a property 'library'; it can have externals, processSymbols, roots, libraries, gc, wrap, " +
        'defsym, replaceable',
    ],
    [
      () => memory.link({ name: 'a.o', bytes: object, roots: [] } as LinkInput),
      "input cannot have a property 'roots'; it can have name, bytes",
    ],
    [
      () => place({ alignment: 16 }),
      "section text cannot have a property 'alignment'; it can have protection, size, bytes, align, name",
    ],
    [() => place({}, { whithin: [] }), "placement cannot have a property 'whithin'; it can have within, near"],
    [
      () => place({}, { within: [{ first: 0, last: 1, size: 2 }] }),
      "within[0] cannot have a property 'size'; it can have first, last",
    ],
    [
      () => place({}, { near: { address: 0, range: 1 } }),
      "near cannot have a property 'range'; it can have address, reach",
    ],
    [
      () => memory.link(object).function('f', nodeStyle),
      "signature cannot have a property 'parameters'; it can have return, arguments",
    ],
    [() => graph({ symbol: [] }), "made.s cannot have a property 'symbol'; it can have name, sections, symbols"],
    [
      () => graph({ sections: [{ ...text, alignment: 4 }] }),
      "section of made.s cannot have a property 'alignment'; it can have name, protection, align, bytes, size, relocations",
    ],
    [
      () => graph({ symbols: [{ name: 'f', section: '.text', value: 4 }] }),
      "symbol of made.s cannot have a property 'value'; it can have name, section, offset, address, size, binding",
    ],
    [
      () =>
        graph({ sections: [{ ...text, relocations: [{ offset: 0, type: 'R_X86_64_64', symbol: 'f', adend: 1 }] }] }),
      "relocation of section .text cannot have a property 'adend'; it can have offset, type, symbol, addend",
    ],
  ]
  for (const [action, message] of refusals) {
    t.throws(action, { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE', message })
  }
})

test('what is no address is not looked for', t => {
  const memory = new CodeMemory()
  const find = (address: unknown) => codeOf(() => memory.find(address as bigint))
  for (const address of [undefined, null, '0x1000', {}]) t.is(find(address), 'ERR_INVALID_ARG_TYPE')
  for (const address of [-1, 0.5, 2 ** 53, NaN, -1n, 2n ** 64n]) t.is(find(address), 'ERR_OUT_OF_RANGE')
  for (const address of [0, 2n ** 64n - 1n]) t.is(find(address), 'nothing')
})

test('a batch of anything but allocations in flight, or of one twice, is refused, and they stay in flight', t => {
  const memory = new CodeMemory()
  const inFlight = memory.allocate({ text: { protection: 'rx', bytes: ret } })
  const finalize = (batch: unknown) => codeOf(() => memory.finalizeAll(batch as []))
  for (const batch of [undefined, null, inFlight, [inFlight, undefined], [inFlight, {}], [inFlight, inFlight.text]]) {
    t.is(finalize(batch), 'ERR_INVALID_ARG_TYPE')
  }
  t.is(finalize([inFlight, inFlight]), 'ERR_INVALID_ARG_VALUE')
  t.is(memory.stats().inFlight, 1)
  inFlight.abandon()
  assertUnharmed(t, memory)
})

test('a grace period that has not begun cannot be ended, and trying begins none', t => {
  const memory = new CodeMemory({ quarantine: 'trapping' })
  const period = memory.beginGracePeriod()
  for (let attempt = 0; attempt < 3; attempt++) {
    const code = codeOf(() => {
      memory.endGracePeriod(period + 1n)
    })
    t.is(code, 'ERR_OUT_OF_RANGE')
  }
  t.is(memory.beginGracePeriod(), period + 1n)
})

test('what is no number of a grace period ends none', t => {
  const memory = new CodeMemory({ quarantine: 'trapping' })
  const end = (grace: unknown) =>
    codeOf(() => {
      memory.endGracePeriod(grace as bigint)
    })
  const given = memory.beginGracePeriod()
  for (const grace of [undefined, null, 0, '0', {}]) t.is(end(grace), 'ERR_INVALID_ARG_TYPE')
  for (const grace of [-1n, given + 1000n, 2n ** 64n]) t.is(end(grace), 'ERR_OUT_OF_RANGE')
  t.is(end(given), 'nothing')
})

test('inputs and link options of wrong types are refused', t => {
  const memory = new CodeMemory()
  const link = (input: unknown, options?: unknown) => codeOf(() => memory.link(input as LinkInput, options as object))
  for (const input of [
    null,
    undefined,
    7,
    'libz.a',
    {},
    { name: 'a.o' },
    { name: 7, bytes: object },
    { bytes: 'text' },
    [null],
  ]) {
    t.is(link(input), 'ERR_INVALID_ARG_TYPE')
  }
  for (const options of [
    null,
    7,
    { processSymbols: 1 },
    { roots: 'f' },
    { roots: [7] },
    { libraries: object },
    { externals: [] },
    { externals: 7 },
    { externals: { nobody: '0x1234' } },
    { externals: { nobody: () => 1 } },
    { externals: new Map([[7, 7n]]) },
  ]) {
    t.is(link(object, options), 'ERR_INVALID_ARG_TYPE', JSON.stringify(options))
  }
  for (const nobody of [-1, 0.5, 2n ** 64n]) t.is(link(object, { externals: { nobody } }), 'ERR_OUT_OF_RANGE')
  assertUnharmed(t, memory)
})

test('no input and an empty archive give an image without symbols, and no bytes are no input', t => {
  const memory = new CodeMemory()
  for (const inputs of [[], Buffer.from('!<arch>\n')]) {
    const image = memory.link(inputs)
    t.deepEqual(image.symbols(), [])
    image.free()
  }
  t.is(
    codeOf(() => memory.link(new Uint8Array(0))),
    'ERR_CODESLAB_UNKNOWN_FORMAT',
  )
  assertUnharmed(t, memory)
})

for (const [name, bytes] of Object.entries({ object, archive: library })) {
  test(`a truncated or corrupted ${name} links or is refused, and nothing leaks`, t => {
    const memory = new CodeMemory()
    const random = generator(name.length)
    const attempt = (input: Uint8Array) => {
      try {
        memory.link({ name: 'bad', bytes: input }).free()
      } catch (error) {
        t.true(error instanceof CodeslabError, String(error))
      }
    }
    for (let length = 0; length < bytes.length; length += 1 + Math.floor(random() * 20))
      attempt(bytes.subarray(0, length))
    for (let round = 0; round < 3000; round++) {
      const copy = Buffer.from(bytes)
      for (let flips = 0; flips <= random() * 3; flips++) {
        const at = Math.floor(random() * copy.length)
        copy[at] = Math.floor(random() * 256)
      }
      attempt(copy)
    }
    assertUnharmed(t, memory)
  })
}

test('random bytes are refused', t => {
  const memory = new CodeMemory()
  const random = generator(99)
  for (let round = 0; round < 500; round++) {
    const bytes = Buffer.from(Array.from({ length: Math.floor(random() * 300) }, () => Math.floor(random() * 256)))
    const code = codeOf(() => memory.link(bytes))
    t.is(code, 'ERR_CODESLAB_UNKNOWN_FORMAT')
  }
  assertUnharmed(t, memory)
})

test('what methods return cannot be constructed', t => {
  for (const Class of [Image, ...classes()]) {
    t.throws(() => Reflect.construct(Class, []) as unknown, { instanceOf: TypeError, message: /cannot be constructed/ })
  }
})

/** The classes of what `allocate` and `finalize` return. */
function classes(): (abstract new () => unknown)[] {
  const inFlight = new CodeMemory().allocate({ text: { protection: 'rx', size: 1 } })
  const allocation = inFlight.finalize()
  return [inFlight, inFlight.text, allocation, allocation.text].map(
    value => (value as { constructor: unknown }).constructor as abstract new () => unknown,
  )
}

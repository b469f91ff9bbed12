import test from 'ava'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CodeMemory, CodeslabError, Image, type CodeslabErrorCode, type Graph, type LinkInput } from '../index.ts'
import { compile, compileFixture, compileShared } from './helpers/compile.ts'
import { testWith, type Needed } from './helpers/exceptions.ts'
import { run, type Surroundings } from './helpers/process.ts'
import { foreignCodeModel, ret } from './helpers/machine-code.ts'
import { types } from './helpers/relocated-code.ts'
import { badIndex, discarded, mixedThreadLocal, otherMachine, writableCode } from './helpers/wrong-objects.ts'

/** How a code comes about, and what the error says then. */
interface Scenario {
  /** Throws it here. */
  readonly provoke?: () => unknown
  /** Or a program that reports it, in a process of its own. */
  readonly program?: string
  readonly surroundings?: Surroundings
  /** What it takes that not every machine has. */
  readonly needs?: Needed
  /** What the error has to say. */
  readonly facts: Readonly<Record<string, unknown>>
}

// Some errors are thrown below more frames than the default of ten.
Error.stackTraceLimit = 50

const memory = new CodeMemory()
const two = compile('int one(void) { return 1; } int two = 2;')
/** Read where it is needed: it compiles on Linux only. */
const limits = {
  get files() {
    return { 'limits.o': compileFixture('limits.c') }
  },
}

const allocate = (request: object, placement?: object) => () =>
  memory.allocate(request as Parameters<typeof memory.allocate>[0], placement)
const link = (input: LinkInput | LinkInput[], options?: object) => () => memory.link(input, options)

/** A graph of one 16-byte section of code with one relocation at its start. */
function graph(type: string, symbol: string, addend = 0): Graph {
  const relocations = [{ offset: 0, type: type as 'R_X86_64_64', symbol, addend }]
  return {
    name: 'made.s',
    sections: [{ name: '.text', protection: 'rx', bytes: Buffer.alloc(16), relocations }],
    symbols: [{ name: 'main', section: '.text' }],
  }
}

/** A program that links `limits.o` before anything goes wrong and reports what is thrown afterwards. */
function inStraits(straits: string, action: string): Pick<Scenario, 'program' | 'surroundings' | 'needs'> {
  const program = `
    const limits = new CodeMemory().link(input('limits.o'))
    const limit = (name, ...values) =>
      limits.function(name, { return: 'int32', arguments: values.map(() => 'uint64') })(...values)
    const memory = new CodeMemory({ writer: 'dual-mapping' })
    memory.stats()
    ${straits}
    report(caught(() => ${action}))
  `
  return { program, surroundings: limits, needs: 'limits' }
}

const place = "memory.allocate({ text: { protection: 'rx', size: 2 ** 22 } })"

/**
 * All codes but some. No port is missing where these tests run. What the dynamic linker refuses is tested in Rust. Runtimes without
 * buffers of native memory are not Node. No JavaScript runs in a process that was forked without a program of its own, because V8 keeps its
 * heap from such processes; what such a process may still do is tested in Rust. Files for debuggers, and compilers, have
 * tests of their own.
 */
type Producible = Exclude<
  CodeslabErrorCode,
  | 'ERR_CODESLAB_UNSUPPORTED_PLATFORM'
  | 'ERR_CODESLAB_FORKED'
  | 'ERR_CODESLAB_NO_CALLBACKS'
  | 'ERR_CODESLAB_NO_VIEWS'
  | 'ERR_CODESLAB_DYNAMIC_LINKER'
  | 'ERR_CODESLAB_TOOL_FILE'
  | 'ERR_CODESLAB_COMPILER'
  | 'ERR_CODESLAB_NO_COMPILER'
>

const scenarios: Record<Producible, Scenario> = {
  ERR_CODESLAB_ABANDONED: {
    provoke() {
      const inFlight = memory.allocate({ text: { protection: 'rx', size: 1 } })
      inFlight.abandon()
      inFlight.finalize()
    },
    facts: {},
  },
  ERR_CODESLAB_ADDRESS_SPACE_LIMIT: {
    ...inStraits(
      "limit('limit_address_space', 2 ** 20)",
      "memory.allocate({ text: { protection: 'rx', size: 2 ** 28 } })",
    ),
    needs: 'filters',
    facts: { limit: 'address-space', errno: 12 },
  },
  ERR_CODESLAB_CLOSED: {
    provoke() {
      const closed = new CodeMemory()
      closed.dispose()
      closed.stats()
    },
    facts: {},
  },
  ERR_CODESLAB_COMMIT_BUDGET: {
    provoke: () =>
      new CodeMemory({ maxCommitted: 2 ** 16 }).allocate({ text: { protection: 'rx', size: 2 ** 16 + 1 } }),
    facts: { limit: 'max-committed', errno: 0 },
  },
  ERR_CODESLAB_CONFLICTING_SYMBOLS: {
    provoke: link(
      {
        name: 'apart.s',
        sections: [
          {
            name: '.text',
            protection: 'rx',
            bytes: Buffer.alloc(16),
            relocations: [
              { offset: 0, type: types.distance32, symbol: 'low' },
              { offset: 4, type: types.distance32, symbol: 'high' },
            ],
          },
        ],
      },
      { externals: { low: 0x1000_0000n, high: 0x7000_0000_0000n } },
    ),
    facts: { first: 'high', second: 'low' },
  },
  ERR_CODESLAB_CONFLICTING_WINDOWS: {
    provoke: allocate(
      { text: { protection: 'rx', size: 1 } },
      {
        within: [
          { first: 0, last: 0xfff },
          { first: 0x2000n, last: 0x3000n },
        ],
      },
    ),
    facts: { distance: 0x1001 },
  },
  ERR_CODESLAB_DISCARDED_SECTION: {
    provoke: () => memory.link({ name: 'discarded.o', bytes: discarded.bytes() }),
    facts: { object: 'discarded.o', ...discarded.facts },
  },
  ERR_CODESLAB_DUPLICATE_SYMBOL: {
    provoke: link([
      { name: 'a.o', bytes: two },
      { name: 'b.o', bytes: two },
    ]),
    facts: { first: 'a.o', second: 'b.o' },
  },
  ERR_CODESLAB_EMPTY_REQUEST: { provoke: allocate({}), facts: {} },
  ERR_CODESLAB_EXCEPTION: {
    provoke() {
      // A function of the C++ library, which Node brings along.
      const source =
        'void _ZSt20__throw_out_of_rangePKc(const char *); void f(void) { _ZSt20__throw_out_of_rangePKc("far"); }'
      const image = memory.link(compile(source, '-fexceptions'))
      image.function('f', { return: 'void' })()
    },
    needs: 'exceptions',
    facts: { symbol: 'f', type: 'std::out_of_range', reason: 'far' },
  },
  ERR_CODESLAB_FILE_SIZE_LIMIT: {
    ...inStraits("limit('limit_file_size', 4096)", place),
    facts: { limit: 'file-size' },
  },
  ERR_CODESLAB_FINALIZED: {
    provoke() {
      const inFlight = memory.allocate({ text: { protection: 'rx', size: 1 } })
      inFlight.finalize().free()
      inFlight.text.write(ret)
    },
    facts: {},
  },
  ERR_CODESLAB_FORBIDDEN: {
    ...inStraits("limit('refuse_executable_files', 13)", place),
    needs: 'filters',
    facts: { limit: 'policy', errno: 13, syscall: 'mmap' },
  },
  ERR_CODESLAB_FREED: {
    provoke() {
      const image = memory.link(two)
      image.free()
      image.symbols()
    },
    facts: {},
  },
  ERR_CODESLAB_INVALID_ALIGNMENT: {
    provoke: allocate({ text: { protection: 'rx', size: 1, align: 3 } }),
    facts: { align: 3, limit: 2 ** 22 },
  },
  ERR_CODESLAB_INVALID_BLOCK_SIZE: {
    provoke: () => new CodeMemory({ blockSize: 12345 }),
    facts: { size: 12345, minimum: 4 * CodeMemory.capabilities().granularity, maximum: 2 ** 30 },
  },
  ERR_CODESLAB_INVALID_ENVIRONMENT: {
    program: 'report(caught(() => new CodeMemory()))',
    surroundings: { environment: { CODESLAB_WRITER: 'pencil' } },
    facts: { variable: 'CODESLAB_WRITER', value: 'pencil' },
  },
  ERR_CODESLAB_INVALID_EXPRESSION: {
    provoke: link(two, { defsym: { three: 'two*2' } }),
    facts: { symbol: 'three', expression: 'two*2' },
  },
  ERR_CODESLAB_INVALID_GRAPH: {
    provoke: link({ name: 'made.s', sections: [], symbols: [{ name: 'main', section: '.text' }] }),
    facts: { object: 'made.s', symbol: 'main', section: '.text' },
  },
  ERR_CODESLAB_INVALID_INDEX: {
    provoke: () => memory.link({ name: 'index.o', bytes: badIndex.bytes() }),
    facts: { object: 'index.o', ...badIndex.facts },
  },
  ERR_CODESLAB_INVALID_SECTION_NAME: {
    provoke: allocate({ finalize: { protection: 'rx', size: 1 } }),
    facts: { section: 'finalize' },
  },
  ERR_CODESLAB_CALLBACK_BLOCKED: {
    provoke: () => {
      const next = { return: 'int32', arguments: ['int32'] } as const
      const call = memory.link(compileFixture('callbacks.c')).function('call_elsewhere', { arguments: [next] })
      call(() => 0)
    },
    facts: {},
  },
  ERR_CODESLAB_DISPOSED: {
    provoke: () => {
      const callback = memory.callback({}, () => 0)
      callback.dispose()
      callback.dispose()
    },
    facts: {},
  },
  ERR_CODESLAB_INVALID_SIGNATURE: {
    provoke: () => memory.link(two).function('one', { return: 'int33' as 'int32' }),
    facts: { type: 'int33' },
  },
  ERR_CODESLAB_INVALID_SIZE: {
    provoke: allocate({ text: { protection: 'rx', size: 0 } }),
    facts: { section: 'text', size: 0 },
  },
  ERR_CODESLAB_LIBRARY_UNAVAILABLE: {
    provoke: link(two, { libraries: ['libcodeslab-has-none.so'] }),
    facts: { library: 'libcodeslab-has-none.so' },
  },
  ERR_CODESLAB_MALFORMED: {
    provoke: link({ name: 'half.o', bytes: two.subarray(0, two.length / 2) }),
    facts: { object: 'half.o' },
  },
  ERR_CODESLAB_MAPPING_BUDGET: {
    provoke: () => new CodeMemory({ maxMappings: 1 }).allocate({ text: { protection: 'rx', size: 1 } }),
    facts: { limit: 'max-mappings', errno: 0 },
  },
  ERR_CODESLAB_NOT_DATA: {
    provoke: () => memory.link(two).data('one'),
    facts: { data: 'symbol one', protection: 'rx' },
  },
  ERR_CODESLAB_NOT_WRITABLE: {
    provoke() {
      memory
        .allocate({ table: { protection: 'ro', size: 8 } })
        .finalize()
        .table.view()
    },
    facts: { data: 'section table', protection: 'ro' },
  },
  ERR_CODESLAB_NOT_EXECUTABLE: {
    provoke: () => memory.link(two).function('two', {}),
    facts: { symbol: 'two', protection: 'rw' },
  },
  ERR_CODESLAB_NOT_REPLACEABLE: {
    provoke: () => {
      memory.link(two).replace('one', 0x1000n)
    },
    facts: { symbol: 'one' },
  },
  ERR_CODESLAB_NOT_RELOCATABLE: {
    provoke: link({ name: 'shared.so', bytes: compileShared('int one(void) { return 1; }') }),
    facts: { object: 'shared.so' },
  },
  ERR_CODESLAB_OUT_OF_BOUNDS: {
    provoke() {
      const inFlight = memory.allocate({ text: { protection: 'rx', size: 8 } })
      try {
        inFlight.text.write(Buffer.alloc(4), 5)
      } finally {
        inFlight.abandon()
      }
    },
    facts: { offset: 5, length: 4, size: 8 },
  },
  ERR_CODESLAB_OUT_OF_MEMORY: {
    program: `
      const limits = new CodeMemory().link(input('limits.o'))
      const memory = new CodeMemory({ writer: 'protect' })
      limits.function('limit_data', { return: 'int32', arguments: ['uint64'] })(2 ** 24)
      report(caught(() => memory.allocate({ text: { protection: 'rx', size: 2 ** 26 } })))
    `,
    surroundings: limits,
    needs: 'filters',
    facts: { limit: 'data', errno: 12 },
  },
  ERR_CODESLAB_OUT_OF_REACH: {
    provoke: allocate({ text: { protection: 'rx', size: 64 } }, { within: [{ first: 0, last: 1000 }] }),
    facts: { windowFirst: 0n, windowLast: 1000n },
  },
  ERR_CODESLAB_OVERFLOW: {
    provoke: link(graph(types.narrow, 'big'), { externals: { big: 0x12345 } }),
    facts: {
      object: 'made.s',
      section: '.text',
      relocation: types.narrow,
      symbol: 'big',
      address: 0x12345n,
      value: 0x12345,
    },
  },
  ERR_CODESLAB_STATIC_THREAD_LOCAL: {
    provoke() {
      const source = 'static _Thread_local char b[1 << 20]; char *f(int n) { return b + n; }'
      memory.link({ name: 'static.o', bytes: compile(source, '-ftls-model=local-exec') })
    },
    needs: 'elf',
    facts: { size: 2 ** 20 },
  },
  ERR_CODESLAB_SYSTEM: {
    ...inStraits("limit('refuse_executable_files', 5)", place),
    needs: 'filters',
    facts: { limit: 'unknown', errno: 5, syscall: 'mmap' },
  },
  ERR_CODESLAB_THREAD_LOCAL_ACCESS: {
    provoke: () => memory.link({ name: 'mixed.o', bytes: mixedThreadLocal.bytes() }),
    needs: 'elf',
    facts: { object: 'mixed.o', ...mixedThreadLocal.facts },
  },
  ERR_CODESLAB_TOO_LARGE: {
    provoke: allocate({ text: { protection: 'rx', size: 2 ** 40 } }),
    facts: { size: 2 ** 40 },
  },
  ERR_CODESLAB_TOO_MANY_FILES: {
    // A memory that is open already has the descriptors that it needs.
    ...inStraits("limit('limit_files')", "new CodeMemory({ writer: 'dual-mapping' })"),
    facts: { limit: 'open-files', errno: 24 },
  },
  ERR_CODESLAB_TOO_MANY_MAPPINGS: {
    // Once there is no mapping left, Node has none either: the spare ones are used up quickly, and all are given back.
    ...inStraits(
      `const memories = Array.from({ length: 64 }, () => new CodeMemory())
       const kept = []
       limit('use_up_mappings', 64)`,
      `{
        const fill = memory => kept.push(memory.allocate({ text: { protection: 'rx', size: 1 } }))
        const error = caught(() => memories.forEach(fill))
        limit('give_mappings_back')
        throw Object.assign(new CodeslabError('ERR_CODESLAB_SYSTEM', ''), error)
      }`,
    ),
    needs: 'mappings',
    facts: { limit: 'map-count', errno: 12 },
  },
  ERR_CODESLAB_UNDEFINED_SYMBOL: {
    provoke: link({ name: 'lonely.o', bytes: compile('int missing(void); int f(void) { return missing() + 1; }') }),
    facts: { object: 'lonely.o', section: '.text', symbol: 'missing', symbols: ['missing'], neededBy: ['lonely.o'] },
  },
  ERR_CODESLAB_UNKNOWN_FORMAT: {
    provoke: link({ name: 'noise.o', bytes: Buffer.from('not an object file') }),
    facts: { object: 'noise.o' },
  },
  ERR_CODESLAB_UNKNOWN_RELOCATION: {
    provoke: link(graph('R_X86_64_WISH', 'main')),
    facts: { object: 'made.s', section: '.text', relocation: 'R_X86_64_WISH', symbol: 'main', offset: 0 },
  },
  ERR_CODESLAB_UNKNOWN_SYMBOL: { provoke: () => memory.link(two).address('three'), facts: { symbol: 'three' } },
  ERR_CODESLAB_UNKNOWN_TOKEN: { provoke: () => Image.open('nonsense'), facts: { token: 'nonsense' } },
  ERR_CODESLAB_UNREADABLE: {
    provoke: link({ name: 'libm.a', bytes: Buffer.from('GROUP ( /x/libm-2.36.a )') }),
    // On Windows a path that begins so belongs to the drive of the folder.
    facts: { object: 'libm.a', path: `${process.platform === 'win32' ? './' : ''}/x/libm-2.36.a` },
  },
  ERR_CODESLAB_UNMAPPED: {
    provoke: () => memory.stringAt(16n),
    facts: { address: 16n },
  },
  ERR_CODESLAB_UNSUPPORTED: {
    provoke: link({ name: 'lto.o', bytes: Buffer.from('BC\xc0\xde', 'latin1') }),
    facts: { object: 'lto.o', feature: 'intermediate-code' },
  },
  ERR_CODESLAB_UNSUPPORTED_CODE_MODEL: {
    provoke: () => new CodeMemory({ codeModel: foreignCodeModel }),
    facts: { codeModel: foreignCodeModel, architecture: process.arch === 'arm64' ? 'aarch64' : 'x86_64' },
  },
  ERR_CODESLAB_WORK_BUDGET: {
    provoke: link({ name: 'pages.s', sections: [{ name: '.rodata', protection: 'ro', size: 2 ** 30 }] }),
    facts: { object: 'pages.s', resource: 'bytes' },
  },
  ERR_CODESLAB_WRITABLE_CODE: {
    provoke: () => memory.link({ name: 'both.o', bytes: writableCode.bytes() }),
    facts: { object: 'both.o', ...writableCode.facts },
  },
  ERR_CODESLAB_WRITER_UNAVAILABLE: {
    provoke: () => new CodeMemory({ writer: 'pencil' as 'protect' }),
    facts: { writer: 'pencil' },
  },
  ERR_CODESLAB_WRONG_ARCHITECTURE: {
    provoke: () => memory.link({ name: 'other.o', bytes: otherMachine.bytes() }),
    facts: { object: 'other.o', ...otherMachine.facts },
  },
}

for (const [code, { provoke, program, surroundings, needs, facts }] of Object.entries(scenarios)) {
  testWith(needs)(`${code} is thrown with its facts, and nothing is left behind`, t => {
    const before = memory.stats()
    if (provoke) {
      const error = t.throws(provoke, { instanceOf: CodeslabError, code, name: 'CodeslabError' })
      t.like(error, { code, ...facts })
      t.regex(error.stack ?? '', /errors\.spec\.ts/, 'the stack says where')
    } else {
      const { output, complaints, status, signal } = run(program ?? '', surroundings)
      t.is(output === '' ? `${complaints} ${String(status)} ${String(signal)}` : '', '')
      t.like(JSON.parse(output), { name: 'CodeslabError', code, ...facts })
    }
    t.is(memory.stats().inFlight - before.inFlight, 0)
  })
}

test('every code of the native modules and of TypeScript is provoked here, and no other is listed', t => {
  const crates = ['codeslab', 'codeslab-link', 'codeslab-runtime', 'codeslab-node'].map(name =>
    join('crates', name, 'src'),
  )
  const files = crates.flatMap(folder =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(name => join(folder, name)),
  )
  const texts = files.filter(path => /error/.test(path) && path.endsWith('.rs')).map(path => readFileSync(path, 'utf8'))
  const native = texts.flatMap(text =>
    [...text.matchAll(/=> (?:\{\s+)?"([A-Z][A-Z_]+)"/g)].map(([, code]) => `ERR_CODESLAB_${code ?? ''}`),
  )
  const typescript = [
    'COMPILER',
    'INVALID_GRAPH',
    'INVALID_SECTION_NAME',
    'INVALID_SIZE',
    'NO_COMPILER',
    'UNMAPPED',
  ].map(code => `ERR_CODESLAB_${code}`)
  const elsewhere = [
    'ERR_CODESLAB_DYNAMIC_LINKER',
    'ERR_CODESLAB_FORKED',
    'ERR_CODESLAB_NO_CALLBACKS',
    'ERR_CODESLAB_NO_VIEWS',
    'ERR_CODESLAB_TOOL_FILE',
    'ERR_CODESLAB_COMPILER',
    'ERR_CODESLAB_NO_COMPILER',
    'ERR_CODESLAB_UNSUPPORTED_PLATFORM',
  ]
  t.deepEqual([...new Set([...native, ...typescript])].sort(), [...Object.keys(scenarios), ...elsewhere].sort())
})

test('an error has its facts as properties, its code, and a name', t => {
  const error = t.throws(allocate({ text: { protection: 'rx', size: 1, align: 3 } }))
  t.is(Object.prototype.toString.call(error), '[object Error]')
  t.deepEqual(Object.keys(error).sort(), ['align', 'code', 'limit'])
  t.is(String(error), 'CodeslabError: alignment 0x3 is not a power of two from 1 to 0x400000')
})

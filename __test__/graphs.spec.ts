import test from 'ava'
import { CodeMemory, CodeslabError, type Graph, type GraphRelocation, type GraphSection } from '../index.ts'
import { compile } from './helpers/compile.ts'
import { answer, ret } from './helpers/machine-code.ts'
import {
  addIntAt,
  branchesTo,
  branchTo,
  loadIntAt,
  loadWordAt,
  sequence,
  types,
  type Code,
} from './helpers/relocated-code.ts'

const memory = new CodeMemory()
const int = { return: 'int32' } as const

/** A section of code. */
function code(...pieces: (Code | Uint8Array)[]): GraphSection {
  return { name: '.text', protection: 'rx', ...sequence(...pieces) }
}

/** A field of 32 bits somewhere. */
function distanceTo(symbol: string): GraphRelocation {
  return { offset: 0, type: types.distance32, symbol }
}

const returning: GraphSection = { name: '.text', protection: 'rx', bytes: Uint8Array.of(0xc3) }
const main = code(loadIntAt('answer'), addIntAt('.bss'), ret)
const size = main.bytes?.byteLength ?? 0

const answering: Graph = {
  name: 'answer.s',
  sections: [
    main,
    { name: '.rodata', protection: 'ro', align: 4, bytes: Int32Array.of(7, 42) },
    { name: '.bss', protection: 'rw', size: 64, align: 64 },
  ],
  symbols: [
    { name: 'main', section: '.text', size },
    { name: 'answer', section: '.rodata', offset: 4, binding: 'local' },
    { name: 'port', address: 0x3f8n },
    { name: 'maybe', section: '.text', binding: 'weak' },
  ],
}

test('a graph is linked like an object, and a section can be referred to by its name', t => {
  const image = memory.link(answering)
  t.is(image.function('main', int)(), 42)
  t.deepEqual(
    image.symbols().map(({ name, size, protection, object }) => ({ name, size, protection, object })),
    [
      { name: 'main', size, protection: 'rx', object: 'answer.s' },
      { name: 'maybe', size: 0, protection: 'rx', object: 'answer.s' },
      { name: 'port', size: 0, protection: undefined, object: 'answer.s' },
    ],
  )
  t.is(image.address('port'), 0x3f8n)
  image.free()
})

test('a graph and objects refer to each other', t => {
  const helper = {
    name: 'helper.o',
    bytes: compile('int from_graph(void); int twice(void) { return 2 * from_graph(); }'),
  }
  const graph: Graph = {
    sections: [code(answer(21), branchTo('twice'))],
    symbols: [
      { name: 'from_graph', section: '.text' },
      { name: 'through', section: '.text', offset: answer(21).length },
    ],
  }
  const image = memory.link([graph, helper])
  t.is(image.function('through', int)(), 42)
  image.free()
})

test('relocation types may have the names of any object format', t => {
  for (const branch of branchesTo('target')) {
    const target: GraphSection = { name: 'target', protection: 'rx', bytes: answer(42) }
    const image = memory.link({ sections: [code(branch), target], symbols: [{ name: 'main', section: '.text' }] })
    t.is(image.function('main', int)(), 42, branch.relocations[0]?.type)
    image.free()
  }
})

test('addends are numbers or bigints, of either sign', t => {
  const sections = (addend: number | bigint): GraphSection[] => [
    code(loadWordAt('word'), ret),
    {
      name: '.data',
      protection: 'rw',
      bytes: Buffer.alloc(8),
      relocations: [{ offset: 0, type: types.word64, symbol: 'base', addend }],
    },
  ]
  for (const addend of [0, -1, 1000, -(2 ** 40), 2n ** 62n, -(2n ** 63n)]) {
    const symbols = [
      { name: 'main', section: '.text' },
      { name: 'word', section: '.data' },
    ]
    const image = memory.link({ sections: sections(addend), symbols }, { externals: { base: 0x1234n } })
    const word = image.function('main', { return: 'uint64' })()
    t.is(word, BigInt.asUintN(64, 0x1234n + BigInt(addend)))
    image.free()
  }
})

test('a graph of thousands of symbols with names of any script is linked', t => {
  const count = 5000
  const name = (index: number) => `größe_${String(index)}_${'x'.repeat(index % 50)}`
  const bytes = new Int32Array(count * 2)
  const sections: GraphSection[] = Array.from({ length: count }, (_, index) => ({
    name: `.text.${String(index)}`,
    protection: 'rx',
    bytes: answer(index),
    align: 1,
  }))
  const symbols = sections.map((section, index) => ({ name: name(index), section: section.name }))
  const image = memory.link({ sections, symbols })
  for (const index of [0, 1, 49, count - 1]) t.is(image.function(name(index), int)(), index)
  t.is(image.symbols().length, count)
  t.is(bytes.length, count * 2)
  image.free()
})

const contradictions: Record<string, [Graph, object]> = {
  'two sections of one name': [
    { sections: [returning, returning] },
    { section: '.text', reason: 'two sections have this name' },
  ],
  'two symbols of one name': [
    {
      sections: [returning],
      symbols: [
        { name: 'main', section: '.text' },
        { name: 'main', section: '.text' },
      ],
    },
    { symbol: 'main' },
  ],
  'a section without content': [{ sections: [{ name: '.text', protection: 'rx' }] }, { section: '.text' }],
  'a section with bytes and a size': [{ sections: [{ ...returning, size: 1 }] }, { section: '.text' }],
  'a symbol in no section': [{ sections: [returning], symbols: [{ name: 'main' }] }, { symbol: 'main' }],
  'a symbol in a section that is not there': [
    { sections: [returning], symbols: [{ name: 'main', section: '.data' }] },
    { symbol: 'main', section: '.data' },
  ],
}

for (const [title, [graph, facts]] of Object.entries(contradictions)) {
  test(`${title} is refused by name`, t => {
    const error = t.throws(() => memory.link({ name: 'made.s', ...graph }), { instanceOf: CodeslabError })
    t.like(error, { code: 'ERR_CODESLAB_INVALID_GRAPH', object: 'made.s', ...facts })
  })
}

test('what lies outside of its section is refused with its place', t => {
  const link = (graph: Graph) => () => memory.link({ name: 'made.s', ...graph })
  t.like(t.throws(link({ sections: [{ ...returning, bytes: Buffer.alloc(2), relocations: [distanceTo('x')] }] })), {
    code: 'ERR_CODESLAB_OUT_OF_BOUNDS',
    ...{ object: 'made.s', section: '.text', offset: 0, length: 4, size: 2 },
  })
  t.like(t.throws(link({ sections: [returning], symbols: [{ name: 'main', section: '.text', offset: 2 }] })), {
    code: 'ERR_CODESLAB_OUT_OF_BOUNDS',
    ...{ object: 'made.s', section: '.text', offset: 2, size: 1 },
  })
  t.like(t.throws(link({ sections: [{ ...returning, align: 24 }] })), {
    code: 'ERR_CODESLAB_INVALID_ALIGNMENT',
    ...{ object: 'made.s', section: '.text', align: 24 },
  })
})

test('values of wrong types are refused before anything is linked', t => {
  const wrong: [object, string][] = [
    [{ sections: 'text' }, 'ERR_INVALID_ARG_TYPE'],
    [{ sections: [null] }, 'ERR_INVALID_ARG_TYPE'],
    [{ sections: [{ protection: 'rx', size: 1 }] }, 'ERR_INVALID_ARG_TYPE'],
    [{ sections: [{ name: 'a', protection: 'rwx', size: 1 }] }, 'ERR_INVALID_ARG_VALUE'],
    [{ sections: [{ name: 'a', protection: 7, size: 1 }] }, 'ERR_INVALID_ARG_TYPE'],
    [{ sections: [{ name: 'a', protection: 'rx', size: -1 }] }, 'ERR_OUT_OF_RANGE'],
    [{ sections: [{ name: 'a', protection: 'rx', size: 1.5 }] }, 'ERR_OUT_OF_RANGE'],
    [{ sections: [{ name: 'a', protection: 'rx', bytes: 'bytes' }] }, 'ERR_INVALID_ARG_TYPE'],
    [{ sections: [returning], symbols: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ sections: [returning], symbols: [{ name: 7, section: '.text' }] }, 'ERR_INVALID_ARG_TYPE'],
    [{ sections: [returning], symbols: [{ name: 'a', section: '.text', binding: 'loose' }] }, 'ERR_INVALID_ARG_VALUE'],
    [{ sections: [returning], symbols: [{ name: 'a', section: '.text', offset: -1 }] }, 'ERR_OUT_OF_RANGE'],
    [{ sections: [returning], symbols: [{ name: 'a', address: -1n }] }, 'ERR_OUT_OF_RANGE'],
    [{ sections: [{ ...returning, relocations: {} }] }, 'ERR_INVALID_ARG_TYPE'],
    [{ sections: [{ ...returning, relocations: [{ offset: 0, type: 7, symbol: 'a' }] }] }, 'ERR_INVALID_ARG_TYPE'],
    [{ sections: [{ ...returning, relocations: [{ ...distanceTo('a'), addend: 0.5 }] }] }, 'ERR_OUT_OF_RANGE'],
    [{ sections: [{ ...returning, relocations: [{ ...distanceTo('a'), addend: 2n ** 63n }] }] }, 'ERR_OUT_OF_RANGE'],
  ]
  for (const [graph, code] of wrong) t.throws(() => memory.link(graph as Graph), { code })
  t.is(memory.stats().live, 0)
})

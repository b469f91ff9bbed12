import test from 'ava'
import { CodeMemory, CodeslabError, type Graph, type GraphRelocation, type Signature } from '../index.ts'
import { compile } from './helpers/compile.ts'

const memory = new CodeMemory()
const many = 20_000

/** A string that would take gigabytes if each of many references to it were a copy. */
const long = 'x'.repeat(2 ** 20)

/** What an action is refused with, and by how much the process grew meanwhile, in bytes. */
function refusal(action: () => unknown): { code: unknown; grown: number } {
  const before = process.resourceUsage().maxRSS
  let code: unknown
  try {
    action()
  } catch (error) {
    code = error instanceof CodeslabError ? error.code : error
  }
  return { code, grown: (process.resourceUsage().maxRSS - before) * 1024 }
}

/** A member of an archive. */
function member(name: string, bytes: Buffer): Buffer {
  const fields = [name.padEnd(16), '0'.padEnd(12), '0'.padEnd(6), '0'.padEnd(6), '644'.padEnd(8)]
  const padding = Buffer.alloc(bytes.length % 2)
  return Buffer.concat([Buffer.from(`${fields.join('')}${String(bytes.length).padEnd(10)}\`\n`), bytes, padding])
}

test('an archive whose members share a long name is refused and takes no more memory than its size allows', t => {
  const names = member('//', Buffer.from(`${'a'.repeat(2 ** 19)}/\n`))
  const object = compile('static int unused;')
  const members = Array.from({ length: 2000 }, () => member('/0', object))
  const archive = Buffer.concat([Buffer.from('!<arch>\n'), names, ...members])
  const { code, grown } = refusal(() => memory.link(archive))
  t.is(code, 'ERR_CODESLAB_WORK_BUDGET')
  t.true(grown < 64 * archive.length + 2 ** 20, `${String(grown)} bytes`)
})

test('many relocations of one unknown type are refused by its name', t => {
  const relocation = { offset: 0, type: long as GraphRelocation['type'], symbol: '.text' }
  const relocations = Array.from({ length: many }, () => relocation)
  const graph: Graph = { sections: [{ name: '.text', protection: 'rx', bytes: Buffer.alloc(16), relocations }] }
  const { code, grown } = refusal(() => memory.link(graph))
  t.is(code, 'ERR_CODESLAB_UNKNOWN_RELOCATION')
  t.true(grown < 2 ** 27, `${String(grown)} bytes`)
})

test('a signature of many unknown types is refused by the first of them', t => {
  const image = memory.link(compile('int f(void) { return 1; }'))
  const signature = { arguments: Array.from({ length: many }, () => long) } as unknown as Signature
  const { code, grown } = refusal(() => image.function('f', signature))
  t.is(code, 'ERR_CODESLAB_INVALID_SIGNATURE')
  t.true(grown < 2 ** 27, `${String(grown)} bytes`)
})

test('a root may be given again and again, and inputs may share a long name', t => {
  const bytes = compile('static int unused;')
  const inputs = Array.from({ length: many / 10 }, () => ({ name: long, bytes }))
  const { code, grown } = refusal(() => memory.link(inputs, { roots: Array.from({ length: many }, () => long) }))
  t.is(code, 'ERR_CODESLAB_UNDEFINED_SYMBOL')
  t.true(grown < 2 ** 28, `${String(grown)} bytes`)
})

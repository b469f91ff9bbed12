import test from 'ava'
import { compile } from './helpers/compile.ts'
import { run } from './helpers/process.ts'

const many = 20_000
const unused = compile('static int unused;')

/**
 * What an action is refused with, and by how much its process grew meanwhile, in bytes. The process is its own: other test files have
 * threads in this one.
 */
function refusal(action: string, files: Readonly<Record<string, Uint8Array>> = {}): { code: unknown; grown: number } {
  const { output, complaints } = run(prelude + action, { files })
  return JSON.parse(output || JSON.stringify({ code: complaints, grown: 0 })) as { code: unknown; grown: number }
}

const prelude = `
  const memory = new CodeMemory()
  /** A string that would take gigabytes if each of many references to it were a copy. */
  const long = 'x'.repeat(2 ** 20)
  const refusal = action => {
    const before = process.resourceUsage().maxRSS
    const code = caught(action)?.code
    report({ code, grown: (process.resourceUsage().maxRSS - before) * 1024 })
  }
`

/** A member of an archive. */
function member(name: string, bytes: Buffer): Buffer {
  const fields = [name.padEnd(16), '0'.padEnd(12), '0'.padEnd(6), '0'.padEnd(6), '644'.padEnd(8)]
  const padding = Buffer.alloc(bytes.length % 2)
  return Buffer.concat([Buffer.from(`${fields.join('')}${String(bytes.length).padEnd(10)}\`\n`), bytes, padding])
}

test('an archive whose members share a long name is refused and takes no more memory than its size allows', t => {
  const names = member('//', Buffer.from(`${'a'.repeat(2 ** 19)}/\n`))
  const members = Array.from({ length: 2000 }, () => member('/0', unused))
  const archive = Buffer.concat([Buffer.from('!<arch>\n'), names, ...members])
  const action = `
    const archive = input('hostile.a')
    refusal(() => memory.link(archive))`
  const { code, grown } = refusal(action, { 'hostile.a': archive })
  t.is(code, 'ERR_CODESLAB_WORK_BUDGET')
  t.true(grown < 64 * archive.length + 2 ** 20, `${String(grown)} bytes`)
})

test('many relocations of one unknown type are refused by its name', t => {
  const action = `
    const relocation = { offset: 0, type: long, symbol: '.text' }
    const relocations = Array.from({ length: ${String(many)} }, () => relocation)
    const graph = { sections: [{ name: '.text', protection: 'rx', bytes: Buffer.alloc(16), relocations }] }
    refusal(() => memory.link(graph))`
  const { code, grown } = refusal(action)
  t.is(code, 'ERR_CODESLAB_UNKNOWN_RELOCATION')
  t.true(grown < 2 ** 27, `${String(grown)} bytes`)
})

test('a signature of many unknown types is refused by the first of them', t => {
  const action = `
    const image = memory.link(input('f.o'))
    const signature = { arguments: Array.from({ length: ${String(many)} }, () => long) }
    refusal(() => image.function('f', signature))`
  const { code, grown } = refusal(action, { 'f.o': compile('int f(void) { return 1; }') })
  t.is(code, 'ERR_CODESLAB_INVALID_SIGNATURE')
  t.true(grown < 2 ** 27, `${String(grown)} bytes`)
})

test('a root may be given again and again, and inputs may share a long name', t => {
  const action = `
    const bytes = input('unused.o')
    const inputs = Array.from({ length: ${String(many / 10)} }, () => ({ name: long, bytes }))
    refusal(() => memory.link(inputs, { roots: Array.from({ length: ${String(many)} }, () => long) }))`
  const { code, grown } = refusal(action, { 'unused.o': unused })
  t.is(code, 'ERR_CODESLAB_UNDEFINED_SYMBOL')
  t.true(grown < 2 ** 28, `${String(grown)} bytes`)
})

import test from 'ava'
import { readFileSync } from 'node:fs'
import { CodeMemory } from '../index.ts'
import { compile, compileFixture } from './helpers/compile.ts'
import { run } from './helpers/process.ts'

const poke = { 'limits.o': compileFixture('limits.c') }

/** A program that writes one byte to a section. */
const poking = (section: string, writer: string) => `
  const poke = new CodeMemory().link(input('limits.o')).function('poke', { arguments: ['pointer'] })
  const allocation = new CodeMemory({ writer: '${writer}' }).allocate({
    text: { protection: 'rx', bytes: Uint8Array.of(0xc3) },
    table: { protection: 'ro', bytes: Uint8Array.of(1) },
    state: { protection: 'rw', size: 1 },
  }).finalize()
  poke(allocation.${section}.address)
  report('written')
`

const writers = CodeMemory.capabilities().writers.filter(({ available }) => available)

// The system does not know what threads may do with protection keys; Rust tests look into that.
const byPage = writers.filter(({ writer }) => writer !== 'pkeys')

for (const { writer } of writers) {
  test(`writing to published code or constants ends the process, and to data it does not, with the writer ${writer}`, t => {
    const endings = ['text', 'table', 'state'].map(section => run(poking(section, writer), { files: poke }))
    t.deepEqual(
      endings.map(({ signal, output }) => signal ?? output),
      ['SIGSEGV', 'SIGSEGV', '"written"'],
    )
  })
}

for (const { writer } of byPage) {
  test(`no page is writable and executable at any time, with the writer ${writer}`, t => {
    const memory = new CodeMemory({ writer })
    const inFlight = memory.allocate({ text: { protection: 'rx', size: 100 }, state: { protection: 'rw', size: 100 } })
    t.deepEqual(writableCode(), [])
    inFlight.text.write(Uint8Array.of(0xc3))
    const allocation = inFlight.finalize()
    t.deepEqual(writableCode(), [])
    allocation.free()
    t.deepEqual(writableCode(), [])
  })
}

/** Mappings of code that can be written; V8 has some of its own, which are anonymous. */
function writableCode(): string[] {
  const lines = readFileSync('/proc/self/maps', 'utf8').split('\n')
  return lines.filter(line => line.includes(' rwx') && line.includes('codeslab'))
}

test('linked code cannot be executed as data nor constants as code', t => {
  const object = compile('const unsigned char ret[] = {0xc3}; unsigned char data[] = {0xc3}; void f(void) {}')
  const program = (symbol: string) => `
    const image = new CodeMemory().link(input('object.o'))
    const call = new CodeMemory().allocate({ text: { protection: 'rx', bytes: Uint8Array.of(0xff, 0xe7) } }).finalize()
    call.text.function({ arguments: ['pointer'] })(image.address('${symbol}')) // jmp rdi
    report('returned')
  `
  const endings = ['f', 'ret', 'data'].map(symbol => run(program(symbol), { files: { 'object.o': object } }))
  t.deepEqual(
    endings.map(({ signal, output }) => signal ?? output),
    ['"returned"', 'SIGSEGV', 'SIGSEGV'],
  )
})

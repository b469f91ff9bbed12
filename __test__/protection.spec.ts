import test from 'ava'
import { CodeMemory } from '../index.ts'
import { compile } from './helpers/compile.ts'
import { outcomeOf, run } from './helpers/process.ts'
import { jump, literal, ret } from './helpers/machine-code.ts'

const poke = { 'poke.o': compile('void poke(volatile unsigned char *address) { *address = 0xc3; }') }

/** A program that writes one byte to a section. */
const poking = (section: string, writer: string) => `
  const poke = new CodeMemory().link(input('poke.o')).function('poke', { arguments: ['pointer'] })
  const allocation = new CodeMemory({ writer: '${writer}' }).allocate({
    text: { protection: 'rx', bytes: ${literal(ret)} },
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
    t.deepEqual(endings.map(outcomeOf), ['fault', 'fault', '"written"'])
  })
}

/** A function that lists what is mapped, for programs. */
const regions =
  process.platform === 'win32'
    ? `
      const own = new CodeMemory()
      const signature = { return: 'size_t', arguments: ['pointer', 'buffer', 'size_t'] }
      const query = own.functionAt(own.processSymbol('VirtualQuery'), signature)
      const regions = () => {
        const all = []
        const region = Buffer.alloc(48)
        for (let first = 0n; query(first, region, 48) !== 0n; ) {
          const end = first + region.readBigUInt64LE(24)
          const rights = (region.readUInt32LE(36) & 0xc0) !== 0 ? 'rwx' : 'less'
          // Views of sections; what is loaded from files is of another type.
          all.push({ first, end, rights, isNamed: region.readUInt32LE(40) === 0x40000 })
          first = end
        }
        return all
      }`
    : `
      const regions = () => readFileSync('/proc/self/maps', 'utf8').trim().split('\\n').map(line => {
        const [range = '', rights = ''] = line.split(' ')
        const [first, end] = range.split('-').map(text => BigInt('0x' + text))
        return { first, end, rights: rights.slice(0, 3), isNamed: line.includes('codeslab') }
      })`

for (const { writer } of byPage) {
  test(`no page is writable and executable at any time, with the writer ${writer}`, t => {
    // In a process of its own: memories of other test files have other writers.
    const { output, complaints } = run(`
      const memory = new CodeMemory({ writer: '${writer}' })
      const inFlight = memory.allocate({ text: { protection: 'rx', size: 100 }, state: { protection: 'rw', size: 100 } })
      const at = inFlight.text.address
      const found = []
      ${regions}
      // V8 has some of its own, which have no name and lie elsewhere.
      const look = () => {
        const ours = regions().filter(({ first, end, isNamed }) => isNamed || (first <= at && at < end))
        found.push(ours.filter(({ rights }) => rights === 'rwx').map(({ first }) => String(first)))
        return ours.length
      }
      const mapped = look()
      inFlight.text.write(${literal(ret)})
      const allocation = inFlight.finalize()
      look()
      allocation.free()
      look()
      report({ mapped, found })`)
    t.is(complaints, '')
    const { mapped, found } = JSON.parse(output) as { mapped: number; found: string[][] }
    t.true(mapped > 0, 'there was something to look at')
    t.deepEqual(found, [[], [], []])
  })
}

test('linked code cannot be executed as data nor constants as code', t => {
  const object = compile(
    `const unsigned char ret[] = {${ret.join(', ')}}; unsigned char data[] = {${ret.join(', ')}}; void f(void) {}`,
  )
  const program = (symbol: string) => `
    const image = new CodeMemory().link(input('object.o'))
    const call = new CodeMemory().allocate({ text: { protection: 'rx', bytes: ${literal(jump)} } }).finalize()
    call.text.function({ arguments: ['pointer'] })(image.address('${symbol}'))
    report('returned')
  `
  const endings = ['f', 'ret', 'data'].map(symbol => run(program(symbol), { files: { 'object.o': object } }))
  t.deepEqual(endings.map(outcomeOf), ['"returned"', 'fault', 'fault'])
})

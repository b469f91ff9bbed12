import test from 'ava'
import { inspect } from 'node:util'
import { CodeMemory, CodeslabError } from '../index.ts'
import { compile } from './helpers/compile.ts'

const hex = '0x[0-9a-f]+'

test('a memory shows its configuration and its stats', t => {
  const memory = new CodeMemory({ blockSize: 2 ** 20 })
  const shown = inspect(memory)
  t.regex(shown, /^CodeMemory \{/)
  for (const part of ['blockSize: 1048576', "codeModel: 'small'", 'live: 0', 'usedBytes: 0'])
    t.true(shown.includes(part), part)
  t.false(shown.includes('maxCommitted'), 'nothing is said of limits that there are not')
  memory.dispose()
  t.regex(inspect(memory), /closed: true/)
  const limited = inspect(new CodeMemory({ quarantine: 'trapping', maxCommitted: 2 ** 20, maxMappings: 32 }))
  for (const part of ["quarantine: 'trapping'", 'maxCommitted: 1048576', 'maxMappings: 32'])
    t.true(limited.includes(part), part)
})

test('allocations show their state and their sections with addresses in hexadecimal', t => {
  const memory = new CodeMemory()
  const inFlight = memory.allocate({ text: { protection: 'rx', size: 64 }, table: { protection: 'ro', size: 8 } })
  const sections = `\\{\\s+text: ${hex} \\(rx, 64 bytes\\),\\s+table: ${hex} \\(ro, 8 bytes\\)\\s+\\}`
  t.regex(inspect(inFlight), new RegExp(`^InFlightAllocation \\(in flight\\) ${sections}$`))
  t.true(inspect(inFlight).includes(`0x${inFlight.text.address.toString(16)}`))
  t.regex(inspect(inFlight.text), new RegExp(`^InFlightSection \\{ text: ${hex} \\(rx, 64 bytes\\) \\}$`))
  const allocation = inFlight.finalize()
  t.regex(inspect(inFlight), /^InFlightAllocation \(finalized\)/)
  t.regex(inspect(allocation), new RegExp(`^Allocation ${sections}$`))
  t.regex(inspect(allocation.table), new RegExp(`^Section \\{ table: ${hex} \\(ro, 8 bytes\\) \\}$`))
  allocation.free()
  t.regex(inspect(allocation), /^Allocation \(freed\)/)
})

test('an image shows its first symbols', t => {
  const memory = new CodeMemory()
  const names = Array.from({ length: 20 }, (_, index) => `f${String(index).padStart(2, '0')}`)
  const image = memory.link(compile(names.map(name => `void ${name}(void) {}`).join('\n')))
  const shown = inspect(image)
  t.regex(shown, new RegExp(`^Image \\{\\s+f00: ${hex} \\(rx, \\d+ bytes\\),`))
  t.true(shown.includes('more: 12'))
  image.free()
  t.is(inspect(image), 'Image (freed) {}')
})

test('an error shows its code and its facts, with addresses in hexadecimal', t => {
  const memory = new CodeMemory()
  const request = { text: { protection: 'rx', size: 1 } } as const
  const error = t.throws(() => memory.allocate(request, { within: [{ first: 0x10, last: 0x20 }] }), {
    instanceOf: CodeslabError,
  })
  t.regex(inspect(error), /CodeslabError: no .* free bytes/)
  t.regex(inspect(error), /code: 'ERR_CODESLAB_OUT_OF_REACH'/)
  t.regex(inspect(error), /windowLast: 0x20/)
})

test('what is nested deeper than inspect looks is named only', t => {
  const memory = new CodeMemory()
  const { text } = memory.allocate({ text: { protection: 'rx', size: 1 } })
  t.is(
    inspect({ a: { b: { c: { memory, text } } } }, { depth: 2, breakLength: Infinity }),
    '{ a: { b: { c: [Object] } } }',
  )
  t.is(inspect({ memory, text }, { depth: 0 }), '{ memory: [CodeMemory], text: [InFlightSection] }')
})

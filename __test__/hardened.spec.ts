import test from 'ava'
import { CodeMemory } from '../index.ts'
import { run } from './helpers/process.ts'
import { answer, jump, literal } from './helpers/machine-code.ts'

const writers = CodeMemory.capabilities().writers.filter(({ available }) => available)

/** How a process ends that uses memory as it must not, and one that executes an instruction that traps. */
const death =
  process.platform === 'win32' ? { fault: 0xc0000005, trap: 0x80000003 } : { fault: 'SIGSEGV', trap: 'SIGTRAP' }

/** A program that jumps to code which it has written and not published. */
const jumping = (options: object) => `
  const memory = new CodeMemory(${JSON.stringify(options)})
  const jump = memory.allocate({ text: { protection: 'rx', bytes: ${literal(jump)} } }).finalize()
  const inFlight = memory.allocate({ text: { protection: 'rx', size: 4096 } })
  inFlight.text.write(${literal(answer(42))})
  report(jump.text.function({ return: 'int32', arguments: ['pointer'] })(inFlight.text.address))
`

for (const { writer } of writers) {
  test(`code in flight does not run, with the writer ${writer}`, t => {
    const { signal, status, output } = run(jumping({ writer }))
    t.deepEqual([signal ?? status, output], [writer === 'protect' ? death.fault : death.trap, ''])
  })
}

test('a memory is hardened unless it need not be, and then code runs before it is published', t => {
  t.true(new CodeMemory().hardened)
  t.true(new CodeMemory({ writer: 'protect', hardened: false }).hardened)
  t.false(new CodeMemory({ writer: 'dual-mapping', hardened: false }).hardened)
  t.is(run(jumping({ writer: 'dual-mapping', hardened: false })).output, '42')
})

import test from 'ava'
import { CodeMemory } from '../index.ts'
import { outcomeOf, run } from './helpers/process.ts'
import { answer, jump, literal } from './helpers/machine-code.ts'

const writers = CodeMemory.capabilities().writers.filter(({ available }) => available)

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
    t.is(outcomeOf(run(jumping({ writer }))), writer === 'protect' ? 'fault' : 'trap')
  })
}

test('a memory is hardened unless it need not be, and then code runs before it is published', t => {
  t.true(new CodeMemory().hardened)
  t.true(new CodeMemory({ writer: 'protect', hardened: false }).hardened)
  t.false(new CodeMemory({ writer: 'dual-mapping', hardened: false }).hardened)
  t.is(run(jumping({ writer: 'dual-mapping', hardened: false })).output, '42')
})

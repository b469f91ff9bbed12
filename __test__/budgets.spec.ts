import test from 'ava'
import { CodeMemory, type CodeMemoryOptions, type InFlight } from '../index.ts'
import { compile } from './helpers/compile.ts'
import { answer, nullary } from './helpers/machine-code.ts'

const object = compile('static char large[1 << 20]; char *f(void) { return large; }')
const writers = CodeMemory.capabilities().writers.filter(({ available }) => available)
const { granularity, pageSize } = CodeMemory.capabilities()

/** An allocation whose code returns a number. */
function place(memory: CodeMemory, number: number, size = 1000): InFlight<'text'> {
  const inFlight = memory.allocate({ text: { protection: 'rx', size } })
  inFlight.text.write(answer(number))
  return inFlight
}

/** Places until that is refused, and returns what was placed. */
function fill(memory: CodeMemory, refused: (error: unknown) => void) {
  const published = []
  for (;;) {
    try {
      published.push(place(memory, published.length).finalize())
    } catch (error) {
      refused(error)
      return published
    }
  }
}

const budgets: Record<string, { options: CodeMemoryOptions; code: string; of: 'committedBytes' | 'mappings' }> = {
  maxCommitted: {
    options: { maxCommitted: 2 ** 18 },
    code: 'ERR_CODESLAB_COMMIT_BUDGET',
    of: 'committedBytes',
  },
  maxMappings: {
    // Small blocks: a memory that grows takes more mappings.
    options: { maxMappings: 64, blockSize: 4 * granularity },
    code: 'ERR_CODESLAB_MAPPING_BUDGET',
    of: 'mappings',
  },
}

for (const [option, { options, code, of }] of Object.entries(budgets)) {
  for (const { writer } of writers) {
    test(`a memory does not grow beyond ${option}, and what is in it works, with the writer ${writer}`, t => {
      const memory = new CodeMemory({ ...options, writer })
      const limit = options[option as 'maxCommitted' | 'maxMappings'] ?? NaN
      t.is(memory[option as 'maxCommitted'], limit)
      const check = (error: unknown) => {
        t.like(error, { code, errno: 0, limit: option === 'maxCommitted' ? 'max-committed' : 'max-mappings' })
        t.true(memory.stats()[of] <= limit)
      }
      const published = fill(memory, check)
      t.true(published.length > 0)
      const before = memory.stats()
      t.throws(() => memory.allocate({ text: { protection: 'rx', size: 2 * pageSize } }), { code })
      t.is(memory.stats().usedBytes, before.usedBytes, 'what was refused has taken nothing')
      t.is(memory.stats().inFlight, 0)
      published.forEach(({ text }, number) => {
        t.is(text.function(nullary)(), number)
      })
      for (const allocation of published) allocation.free()
      memory.trim()
      const again = fill(memory, check)
      // Nothing begins at a multiple of 4 GiB, where the block may lie one time and not the other.
      t.true(Math.abs(again.length - published.length) <= 1, 'what is freed can be used again')
    })
  }
}

test('linking keeps to the budgets of its memory, too', t => {
  for (const { options, code } of [
    { options: { maxCommitted: 2 ** 16 }, code: 'ERR_CODESLAB_COMMIT_BUDGET' },
    { options: { maxMappings: 2 }, code: 'ERR_CODESLAB_MAPPING_BUDGET' },
  ]) {
    const memory = new CodeMemory(options)
    t.throws(() => memory.link(object), { code })
    t.like(memory.stats(), { live: 0, inFlight: 0, usedBytes: 0 })
  }
})

test('each memory has a budget of its own, and all handles to it share that', t => {
  const options = { maxCommitted: 2 ** 17 }
  const memory = new CodeMemory(options)
  const same = CodeMemory.open(memory.share())
  t.is(same.maxCommitted, 2 ** 17)
  t.is(same.maxMappings, undefined)
  const size = 2 ** 16 + 1
  const first = place(memory, 1, size)
  t.throws(() => place(same, 2, size), { code: 'ERR_CODESLAB_COMMIT_BUDGET' })
  t.is(place(new CodeMemory(options), 3, size).finalize().text.function(nullary)(), 3)
  first.abandon()
  t.is(place(same, 4, size).finalize().text.function(nullary)(), 4)
})

import test from 'ava'
import { CodeMemory, type InFlight } from '../index.ts'
import { compileFixture } from './helpers/compile.ts'
import { testWith } from './helpers/exceptions.ts'
import { add, answer, binary, nullary } from './helpers/machine-code.ts'
import { run } from './helpers/process.ts'

const writers = CodeMemory.capabilities().writers.filter(({ available }) => available)

/** An allocation in flight whose code returns a number. */
function place(memory: CodeMemory, number: number): InFlight<'text'> {
  return memory.allocate({ text: { protection: 'rx', bytes: answer(number) } })
}

for (const { writer } of writers) {
  test(`many allocations are published at once and in their order, with the writer ${writer}`, t => {
    const memory = new CodeMemory({ writer })
    const batch = Array.from({ length: 100 }, (_, index) => place(memory, index))
    const published = memory.finalizeAll(batch)
    t.deepEqual(
      published.map(({ text }) => text.function(nullary)()),
      Array.from({ length: 100 }, (_, index) => index),
    )
    t.deepEqual(
      published.map(({ text }) => text.address),
      batch.map(({ text }) => text.address),
    )
    t.is(memory.stats().live, 100)
    for (const allocation of published) allocation.free()
    const { live, inFlight, usedBytes } = memory.stats()
    t.deepEqual({ live, inFlight, usedBytes }, { live: 0, inFlight: 0, usedBytes: 0 })
  })
}

test('what is in a batch may differ, and its types are known', t => {
  const memory = new CodeMemory()
  const [sum, table] = memory.finalizeAll([
    memory.allocate({ code: { protection: 'rx', bytes: add } }),
    memory.allocate({ numbers: { protection: 'ro', bytes: Int32Array.of(1, 2) } }),
  ])
  t.is(sum.code.function(binary)(40, 2), 42)
  t.is(table.numbers.size, 8)
  t.deepEqual(memory.finalizeAll([]), [])
})

test('one that is not in flight any more is refused, and the others stay as they are', t => {
  const memory = new CodeMemory()
  const finalized = place(memory, 1)
  finalized.finalize()
  const abandoned = place(memory, 2)
  abandoned.abandon()
  const [first, last] = [place(memory, 3), place(memory, 4)]
  t.throws(() => memory.finalizeAll([first, finalized, last]), { code: 'ERR_CODESLAB_FINALIZED' })
  t.throws(() => memory.finalizeAll([first, abandoned, last]), { code: 'ERR_CODESLAB_ABANDONED' })
  t.is(memory.stats().inFlight, 2)
  t.is(memory.stats().live, 1)
  first.text.write(answer(5))
  const values = memory.finalizeAll([last, first]).map(({ text }) => text.function(nullary)())
  t.deepEqual(values, [4, 5])
  t.throws(() => memory.finalizeAll([first]), { code: 'ERR_CODESLAB_FINALIZED' })
})

testWith('filters')('if the system refuses one, all are given back', t => {
  // Three requests, each on pages of its own. The kernel lets the first be executable, and the second not.
  const program = `
    const limits = new CodeMemory().link(input('limits.o'))
    const refuse = limits.function('refuse_executable_rights', { return: 'int32', arguments: ['int32', 'uint64'] })
    const memory = new CodeMemory({ writer: 'protect' })
    const { pageSize } = CodeMemory.capabilities()
    const place = pages => memory.allocate({ text: { protection: 'rx', size: pages * pageSize } })
    const kept = place(1).finalize()
    const batch = [place(1), place(37), place(1)]
    const alone = place(37)
    refuse(13, 37 * pageSize)
    const errors = [caught(() => memory.finalizeAll(batch)), caught(() => alone.finalize())]
    const afterwards = [...batch, alone].map(one => caught(() => one.finalize())?.code)
    for (const one of [...batch, alone]) one[Symbol.dispose]()
    const { inFlight, live, usedBytes } = memory.stats()
    report({ errors, afterwards, inFlight, live, pages: usedBytes / pageSize, works: !caught(() => place(1).finalize()) })
  `
  const { output, complaints } = run(program, { files: { 'limits.o': compileFixture('limits.c') } })
  const refused = { code: 'ERR_CODESLAB_FORBIDDEN', syscall: 'mprotect', errno: 13 }
  const { errors, ...rest } = JSON.parse(output || JSON.stringify({ complaints })) as { errors: unknown[] }
  t.like(errors, [refused, refused])
  t.deepEqual(rest, {
    afterwards: Array.from({ length: 4 }, () => 'ERR_CODESLAB_ABANDONED'),
    inFlight: 0,
    live: 1,
    pages: 1,
    works: true,
  } as object)
})

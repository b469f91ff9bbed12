/**
 * Processes that Node starts while an allocation is at each point of its life, with every writer, from the main thread and from a worker.
 * The child is a Node of its own, with memories of its own; the parent must see nothing of it.
 *
 * Prints a line for each writer, which `npm run test:matrix` puts into docs/limits.md: `cell | condition | writer | outcome`.
 */

import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { isMainThread, Worker } from 'node:worker_threads'
import { CodeMemory, type Writer } from '../../index.ts'
import { answer, nullary } from './machine-code.ts'

const here = fileURLToPath(import.meta.url)
const condition = '`child_process.fork` and `spawn`, at every point'

/** Places, calls and frees in a new memory of this process; throws if anything is wrong. */
function live(writer: Writer): void {
  const memory = new CodeMemory({ writer })
  const made = memory.allocate({ text: { protection: 'rx', bytes: answer(7) } }).finalize()
  if (made.text.function(nullary)() !== 7) throw new Error('the code of a child is wrong')
  made.free()
}

/** A child, by `fork` from the main thread and by `spawn` from a worker, which has to end well. */
async function haveChildren(writer: Writer, point: string): Promise<void> {
  const status = isMainThread
    ? ((await once(fork(here, [writer], { execArgv: ['--no-warnings'] }), 'exit'))[0] as number | null)
    : spawnSync(process.execPath, ['--no-warnings', here, writer]).status
  if (status !== 0) throw new Error(`${point}: a child ended with ${String(status)}`)
}

/** The life of one allocation, with children at every point of it. */
async function liveWithChildren(writer: Writer): Promise<void> {
  const memory = new CodeMemory({ writer })
  await haveChildren(writer, 'before')
  const inFlight = memory.allocate({
    text: { protection: 'rx', size: 16 },
    table: { protection: 'ro', bytes: Uint8Array.of(1, 2, 3) },
    state: { protection: 'rw', size: 16 },
  })
  await haveChildren(writer, 'placed')
  inFlight.text.write(answer(42))
  await haveChildren(writer, 'written')
  const allocation = inFlight.finalize()
  const call = allocation.text.function(nullary)
  await haveChildren(writer, 'published')
  if (call() !== 42) throw new Error('the code of the parent is wrong')
  allocation.free()
  await haveChildren(writer, 'freed')
  live(writer)
  const { live: left, inFlight: unfinished } = memory.stats()
  if (left + unfinished !== 0) throw new Error('something is left')
}

async function outcome(writer: Writer): Promise<string> {
  await liveWithChildren(writer)
  const worker = new Worker(here, { argv: ['--worker', writer] })
  const [status] = (await once(worker, 'exit')) as [number]
  return status === 0 ? 'passes' : `fails in a worker with ${status}`
}

const [first, second] = process.argv.slice(2)
if (!isMainThread) {
  await liveWithChildren(second as Writer)
} else if (first === undefined) {
  for (const { writer, available, reason } of CodeMemory.capabilities().writers) {
    const text = available ? await outcome(writer) : `impossible here: ${String(reason)}`
    process.stdout.write(`cell | ${condition} | ${writer} | ${text}\n`)
  }
} else {
  live(first as Writer)
}

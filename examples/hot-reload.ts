/**
 * A program that compiles a C function anew while two worker threads call it, and never stops them.
 *
 *     npm run demo:hot-reload [versions]
 */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
import { CodeMemory, Slot, type Image } from 'codeslab'

/** What every version is called with, and what the workers share: whether to stop, how many run, the newest version. */
const signature = { return: 'int32', arguments: ['int32'] } as const
const [STOP, RUNNING, NEWEST] = [0, 1, 2]

if (isMainThread) await replace(Number(process.argv[2] ?? 5))
else call(workerData as { step: string; shared: Int32Array })

/** Links one version after the other, and has the slot lead to it. */
async function replace(versions: number): Promise<void> {
  const memory = new CodeMemory()
  let image = build(memory, 0)
  const step = memory.slot(image.function('step', signature))
  const shared = new Int32Array(new SharedArrayBuffer(12))
  const start = () => new Worker(new URL(import.meta.url), { workerData: { step: step.share(), shared } })
  const workers = [start(), start()]
  while (Atomics.load(shared, RUNNING) < workers.length) await new Promise(setImmediate)
  for (let version = 1; version <= versions; version++) {
    const next = build(memory, version)
    Atomics.store(shared, NEWEST, version)
    step.replace(next.function('step', signature))
    // No new call arrives there. Its memory goes when the workers' present calls have returned.
    image.free()
    image = next
  }
  const reports = workers.map(worker => once(worker, 'message') as Promise<[number]>)
  Atomics.store(shared, STOP, 1)
  const calls = (await Promise.all(reports)).reduce((sum, [count]) => sum + count, 0)
  await memory.synchronize()
  assert.equal(memory.stats().live, 2, 'the slot and the last version are left')
  console.log(
    `${String(versions)} versions, ${String(calls)} calls by ${String(workers.length)} workers, no wrong answer`,
  )
}

/** A version of the function, by the C compiler of this machine. */
function build(memory: CodeMemory, version: number): Image {
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-hot-reload-'))
  try {
    const object = join(folder, 'step.o')
    const source = `int step(int value) { return value + ${String(version)}; }`
    execFileSync('cc', ['-O1', '-x', 'c', '-c', '-', '-o', object], { input: source })
    return memory.link({ name: `step-${String(version)}.o`, bytes: readFileSync(object) })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Calls until it is told to stop. Each answer is that of a version that was there: never an older one than before. */
function call({ step, shared }: { step: string; shared: Int32Array }): void {
  const next = Slot.open(step).function(signature)
  let [calls, last] = [0, 0]
  Atomics.add(shared, RUNNING, 1)
  do {
    const version = next(calls) - calls
    assert(
      version >= last && version <= Atomics.load(shared, NEWEST),
      `version ${String(version)} after ${String(last)}`,
    )
    last = version
    calls++
  } while (Atomics.load(shared, STOP) === 0)
  parentPort?.postMessage(calls)
}

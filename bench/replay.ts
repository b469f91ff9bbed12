/** Replays a trace through the Node module: `node bench/replay.ts TRACE REPETITIONS [BATCH]`, one by one or so many at once. */

import { readFileSync } from 'node:fs'
import { CodeMemory, type Allocation } from 'codeslab'
import { footprint, print } from './measure.ts'

type Part = [protection: 'rx' | 'ro' | 'rw', size: number, align: number]

const [path = '', repetitions = '', size = '1'] = process.argv.slice(2)
const objects = readFileSync(path, 'utf8').trimEnd().split('\n').map(parts)
const source = new Uint8Array(Math.max(...objects.flat().map(([, size]) => size))).fill(0xc3)
const batches = inBatches(objects.map(request), Number(size))
const content = objects.flat().reduce((sum, [, size]) => sum + size, 0) * Number(repetitions)

const memory = new CodeMemory()
let [failed, placed] = [0, 0]
const before = footprint()
// As many as there will be: what a list leaves behind that grows is none of codeslab's.
const kept = new Array<Allocation>(objects.length * Number(repetitions))
const start = performance.now()
for (let replay = 0; replay < Number(repetitions); replay++) {
  for (const batch of batches) {
    try {
      place(batch)
    } catch {
      failed += batch.length
    }
  }
}
const elapsed = performance.now() - start
const after = footprint()
const total = placed + failed
print({
  objects: total,
  failed,
  us_per_object: (elapsed * 1000) / total,
  memory_per_content: (after.bytes - before.bytes) / content,
  mappings: after.mappings - before.mappings,
  blocks: memory.stats().blocks,
})
if (kept.length !== total) throw new Error(`${total} of ${kept.length} objects`)

function place(batch: ReturnType<typeof request>[]): void {
  const [first = {}] = batch
  if (Number(size) === 1) kept[placed++] = memory.publish(first)
  else for (const allocation of memory.publishAll(batch)) kept[placed++] = allocation
}

function inBatches<Item>(items: Item[], count: number): Item[][] {
  const starts = Array.from({ length: Math.ceil(items.length / count) }, (_, index) => index * count)
  return starts.map(first => items.slice(first, first + count))
}

function parts(line: string): Part[] {
  const [rx = 0, rxAlign = 1, ro = 0, roAlign = 1, rw = 0, rwAlign = 1] = line.split(' ').map(Number)
  const all: Part[] = [
    ['rx', rx, rxAlign],
    ['ro', ro, roAlign],
    ['rw', rw, rwAlign],
  ]
  return all.filter(([, size]) => size > 0)
}

/** Sections as an embedder hands them over: each with its bytes. */
function request(object: Part[]) {
  const entries = object.map(([protection, size, align]) => {
    return [`section_${protection}`, { protection, bytes: source.subarray(0, size), align }] as const
  })
  return Object.fromEntries(entries)
}

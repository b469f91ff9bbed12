/** Replays a trace through the Node module: `node bench/replay.ts TRACE REPETITIONS`. */

import { readFileSync } from 'node:fs'
import { CodeMemory, type Allocation } from 'codeslab'
import { footprint, print } from './measure.ts'

type Part = [protection: 'rx' | 'ro' | 'rw', size: number, align: number]

const [path = '', repetitions = ''] = process.argv.slice(2)
const objects = readFileSync(path, 'utf8').trimEnd().split('\n').map(parts)
const source = new Uint8Array(Math.max(...objects.flat().map(([, size]) => size))).fill(0xc3)
const requests = objects.map(request)
const content = objects.flat().reduce((sum, [, size]) => sum + size, 0) * Number(repetitions)

const memory = new CodeMemory()
const kept: Allocation[] = []
let failed = 0
const before = footprint()
const start = performance.now()
for (let replay = 0; replay < Number(repetitions); replay++) {
  for (const sections of requests) {
    try {
      kept.push(memory.allocate(sections).finalize())
    } catch {
      failed++
    }
  }
}
const elapsed = performance.now() - start
const after = footprint()
const total = kept.length + failed
print({
  objects: total,
  failed,
  us_per_object: (elapsed * 1000) / total,
  memory_per_content: (after.bytes - before.bytes) / content,
  mappings: after.mappings - before.mappings,
  blocks: memory.stats().blocks,
})

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

/**
 * What debuggers and profilers cost: placing, publishing and freeing a function of 64 bytes in a memory that tells each of them, and in
 * one that tells nobody. `node bench/tools.ts [ALLOCATIONS]`.
 *
 * All memories use one writer, so that what is compared is the telling. They take turns, and the figure is that of the fastest turn: on
 * a shared machine a neighbour slows the others. Nobody is measured twice, so that one sees what the difference is worth.
 */

import { mkdtempSync, rmSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CodeMemory, type CodeMemoryOptions } from 'codeslab'

const TURNS = 60

const count = Number(process.argv[2] ?? 1000)
const folder = mkdtempSync(join(tmpdir(), 'codeslab-bench-'))
process.env['JITDUMPDIR'] = folder

const nobody = { perf: false, jitdump: false, gdb: false } as const
const ways: Readonly<Record<string, CodeMemoryOptions>> = {
  'nobody is told': nobody,
  'nobody, again': nobody,
  'perf: true': { ...nobody, perf: true },
  'gdb: true': { ...nobody, gdb: true },
  'perf and gdb': { ...nobody, perf: true, gdb: true },
  'jitdump: true': { ...nobody, jitdump: true },
}
const bytes = new Uint8Array(64).fill(0xc3)
const memories = Object.entries(ways).map(([name, options]) => {
  return { name, memory: new CodeMemory({ ...options, writer: 'dual-mapping' }), times: [] as number[] }
})

for (let turn = 0; turn < TURNS + 1; turn++) {
  for (const { memory, times } of memories) {
    const time = timeOf(memory)
    // The first turn warms up.
    if (turn > 0) times.push(time)
  }
}

const base = Math.min(...(memories[0]?.times ?? []))
console.log(`| a memory that tells | µs to place, publish and free | more than nobody |`)
console.log(`| --- | --- | --- |`)
for (const { name, times } of memories) {
  const time = Math.min(...times)
  console.log(`| ${name} | ${time.toFixed(2)} | ${(time - base).toFixed(2)} |`)
}
rmSync(folder, { recursive: true })
unlinkSync(`/tmp/perf-${String(process.pid)}.map`)

/** Microseconds an allocation. */
function timeOf(memory: CodeMemory): number {
  const start = performance.now()
  for (let index = 0; index < count; index++) {
    memory
      .allocate({ text: { protection: 'rx', bytes } })
      .finalize()
      .free()
  }
  return ((performance.now() - start) * 1000) / count
}

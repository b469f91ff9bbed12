/** What the operating system says about this process, as in bench/src/measure.rs, and the report of a scenario. */

import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs'

/** Figures that only some scenarios have, and how the table words them. */
export const particulars = {
  /** The time per allocation against that of the first of them. */
  times_first: '× the first 10,000',
  /** Bytes of the allocator's own records per byte of content: what `stats` calls metadata. */
  metadata_per_content: 'metadata/content',
  /** MiB of physical memory that the process has more than before, although all is freed. */
  mib_left: 'MiB left',
  foreign_mappings: 'mappings',
  /** The time of a call against that of a WebAssembly export that does the same. */
  int32_times_wasm: 'int32 × WebAssembly',
  double_times_wasm: 'double × WebAssembly',
  void_times_wasm: 'void × WebAssembly',
  uint64_times_wasm: 'uint64 × WebAssembly',
  /** The time of a call against the least that V8 lets one cost. */
  int32_times_least: 'int32 × the least',
  double_times_least: 'double × the least',
  void_times_least: 'void × the least',
  /** How many times faster it is than by koffi, where that is installed. */
  int32_faster_than_koffi: 'int32 faster than koffi',
  double_faster_than_koffi: 'double faster than koffi',
  void_faster_than_koffi: 'void faster than koffi',
  /** The time of a call with a buffer, by Node-API, against koffi's. */
  pointer_times_koffi: 'pointer × koffi',
  /** The time of `qsort` with a comparator of JavaScript against koffi's. */
  sort_times_koffi: 'qsort × koffi',
} as const

export type Particulars = Partial<Record<keyof typeof particulars, number>>

/** The figures of one scenario; what does not apply is left out. */
export interface Report extends Particulars {
  objects: number
  failed: number
  us_per_object: number
  memory_per_content?: number
  mappings?: number
  blocks?: number
}

export interface Footprint {
  bytes: number
  mappings: number
}

/** Physical memory and mappings of this process. Pages of a memory file count in full, in a page table of ours or not. */
export function footprint(): Footprint {
  const rollup = readFileSync('/proc/self/smaps_rollup', 'utf8')
  const shared = kilobytes(rollup, 'Pss_Shmem')
  return {
    bytes: kilobytes(rollup, 'Pss') - shared + Math.max(shared, memoryFileBytes()),
    mappings: readFileSync('/proc/self/maps', 'utf8').trimEnd().split('\n').length,
  }
}

/** Prints a report where `bench/run.ts` expects it. */
export function print(report: Report): void {
  console.log(JSON.stringify(report))
}

export function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function kilobytes(rollup: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(rollup)?.[1]) * 1024
}

function memoryFileBytes(): number {
  const sizes = new Map<number, number>()
  for (const descriptor of readdirSync('/proc/self/fd')) {
    const path = `/proc/self/fd/${descriptor}`
    try {
      if (!readlinkSync(path).startsWith('/memfd:')) continue
      const { ino, blocks } = statSync(path)
      sizes.set(ino, blocks * 512)
    } catch {
      // The descriptor that listed the folder is closed by now.
    }
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}

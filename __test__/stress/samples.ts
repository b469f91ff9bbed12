/** What the process takes of the system, over the time of the stress, and whether that is flat. */

import { readFileSync, readdirSync } from 'node:fs'

/** Windows does not tell. */
const hasProc = process.platform !== 'win32'

/** What the process takes at one moment. */
export interface Sample {
  /** MiB that are resident. */
  readonly resident: number
  readonly mappings: number
  readonly descriptors: number
}

export function sample(): Sample {
  return {
    resident: Math.round(process.memoryUsage.rss() / 2 ** 20),
    mappings: hasProc ? readFileSync('/proc/self/maps', 'utf8').split('\n').length - 1 : 0,
    descriptors: hasProc ? readdirSync('/proc/self/fd').length : 0,
  }
}

type Quantity = keyof Sample

/** How much more there may be at the end than before: what the C library's heap and V8 keep differs by that from wave to wave. */
const tolerance: Readonly<Record<Quantity, number>> = { resident: 48, mappings: 60, descriptors: 2 }

/** The quantities that grew from the second quarter of the samples to the last, in words. The first quarter is for warming up. */
export function growth(samples: readonly Sample[]): string[] {
  const quarter = Math.floor(samples.length / 4)
  if (quarter === 0) return []
  const quantities = Object.keys(tolerance) as Quantity[]
  return quantities.flatMap(quantity => {
    const early = median(samples.slice(quarter, 2 * quarter).map(one => one[quantity]))
    const late = median(samples.slice(-quarter).map(one => one[quantity]))
    return late > early * 1.1 + tolerance[quantity] ? [`${quantity}: from ${early} to ${late}`] : []
  })
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

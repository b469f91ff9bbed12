/** Numbers as people read them, and the colours of protections, for both pictures of a layout and the command line. */

import type { BlockLayout, SlabLayout } from '../stats.ts'

/** What each protection is for. */
export const meanings = { rx: 'code', ro: 'constants', rw: 'data' } as const

/** A number of bytes as people write it. */
export function toBytesText(count: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = count < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10))
  const value = count / 1024 ** power
  const number = Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 2 : 1)
  return `${number} ${count === 1 ? 'byte' : (units[power] ?? '')}`
}

/** A number of things. */
export function toCountText(count: number, thing: string): string {
  return `${count.toLocaleString('en')} ${thing}${count === 1 ? '' : 's'}`
}

/** Bytes of a slab that are in use. */
export function usedBytes(slab: SlabLayout): number {
  return slab.spans.reduce((sum, span) => sum + span.size, 0)
}

/** Which part of a block a slab is: where it begins and ends, from 0 to 1. */
export function shareOf(block: BlockLayout, slab: SlabLayout): readonly [number, number] {
  const start = Number(slab.address - block.address) / block.size
  return [start, start + slab.size / block.size]
}

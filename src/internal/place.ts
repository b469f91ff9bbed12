/** Where sections lie. `memory.ts` learns it from native code, allocations and their sections show it. */

import type { Protection } from '../protection.ts'
import { region } from './inspect.ts'
import { toBigInt } from './intrinsics.ts'

/** What a section is, once it has been placed. In flight, it may become smaller. No user gets hold of one. */
export interface Place {
  readonly name: string
  /** The halves of its address, of 32 bits: a bigint would be an object for each. */
  readonly low: number
  readonly high: number
  size: number
  readonly protection: Protection
}

/** Where something is. */
export function addressOf({ low, high }: Pick<Place, 'low' | 'high'>): bigint {
  return (toBigInt(high) << 32n) | toBigInt(low >>> 0)
}

/** Places as `inspect` shows them. */
export function regions(places: readonly Place[]): Record<string, unknown> {
  return Object.fromEntries(places.map(place => [place.name, region(addressOf(place), place.size, place.protection)]))
}

/** Where sections lie. `memory.ts` learns it from native code, allocations and their sections show it. */

import type { Protection } from '../protection.ts'
import { region } from './inspect.ts'

/** What a section is, once it has been placed. In flight, it may become smaller. No user gets hold of one. */
export interface Place {
  readonly name: string
  readonly address: bigint
  size: number
  readonly protection: Protection
}

/** Places as `inspect` shows them. */
export function regions(places: readonly Place[]): Record<string, unknown> {
  return Object.fromEntries(
    places.map(({ name, address, size, protection }) => [name, region(address, size, protection)]),
  )
}

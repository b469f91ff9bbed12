/** Where sections lie. Native code knows it; it is asked when somebody looks at a section for the first time. */

import type { Protection } from '../protection.ts'
import type { AllocationHandle } from './handle.ts'
import { region } from './inspect.ts'
import { sized, toBigInt } from './intrinsics.ts'
import { life, makeRoom, numbers } from './life.ts'
import { protectionAt } from './protection.ts'

/** What a section is, once it has been placed. In flight, it may become smaller. No user gets hold of one. */
export interface Place {
  readonly name: string
  /** The halves of its address, of 32 bits: a bigint would be an object for each. */
  readonly low: number
  readonly high: number
  size: number
  readonly protection: Protection
  /** What users have of it in flight, and once it is published: made when they ask. */
  inFlight: object | undefined
  published: object | undefined
}

/** Numbers that tell where a section is. */
const NUMBERS = 4

/** Where the sections of an allocation are. Asks native code once. */
export function placesOf(handle: AllocationHandle): readonly Place[] {
  if (handle.places !== undefined) return handle.places
  makeRoom(handle.names.list.length)
  life.places(handle.number)
  return notePlaces(handle)
}

/** Notes where the sections of an allocation are, as native code has just said. */
export function notePlaces(handle: AllocationHandle): readonly Place[] {
  const names = handle.names.list
  const places = sized<Place | undefined>(names.length, undefined) as Place[]
  for (let index = 0; index < names.length; index++) {
    const at = index * NUMBERS
    places[index] = {
      name: names[index] ?? '',
      protection: protectionAt(numbers[at]),
      size: numbers[at + 1] ?? 0,
      low: numbers[at + 2] ?? 0,
      high: numbers[at + 3] ?? 0,
      inFlight: undefined,
      published: undefined,
    }
  }
  handle.places = places
  return places
}

/** Where something is. */
export function addressOf({ low, high }: Pick<Place, 'low' | 'high'>): bigint {
  return (toBigInt(high) << 32n) | toBigInt(low >>> 0)
}

/** Places as `inspect` shows them. */
export function regions(places: readonly Place[]): Record<string, unknown> {
  return Object.fromEntries(places.map(place => [place.name, region(addressOf(place), place.size, place.protection)]))
}

/**
 * What JavaScript holds of code: an allocation, an image or a slot.
 *
 * Native code finds it by a number, and lets go of it when the object that has the number has been collected. What is freed by hand is
 * given up at once, which is a good part of what a short life costs; then the number is that of something that was freed. Sections,
 * variables and images keep the object, and hand the number to native code.
 */

import { sized } from './intrinsics.ts'
import type { Names } from './names.ts'
import type { Place } from './place.ts'

/** The object that keeps some code. */
export interface Handle {
  number: number
}

/** The object that keeps an allocation, for sections and functions of it. */
export interface AllocationHandle extends Handle {
  names: Names
  /** Where its sections are, once that was asked. */
  places: readonly Place[] | undefined
  /** The object that native code was told of, if it was told of another one. */
  keeper: object | undefined
}

/** The handle of an allocation that has a number already, or is about to have one. */
export function makeAllocationHandle(number: number, names: Names, keeper?: object): AllocationHandle {
  return { number, names, places: undefined, keeper }
}

/** What has such an object. */
export interface Holder {
  readonly handle: Handle
}

/**
 * The numbers of what was read from JavaScript, once nothing is read any more: reading may run code that frees what was read before, whose
 * number is another's then.
 */
export function toNumbers(holders: readonly Holder[]): number[] {
  const numbers = sized(holders.length, 0)
  for (let index = 0; index < holders.length; index++) numbers[index] = (holders[index] as Holder).handle.number
  return numbers
}

/** Code of which native code is told the keeper, and gives the number. */
export function makeHandle(make: (keeper: object) => number): Handle {
  const handle: Handle = { number: 0 }
  handle.number = make(handle)
  return handle
}

/** The number of every allocation that was freed and given up. */
export const FREED_ALLOCATION = 0

/** The number of every image that was freed and given up. */
export const FREED_IMAGE = 1

/** The number of every slot that was freed and given up. */
export const FREED_SLOT = 2

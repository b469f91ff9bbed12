/**
 * What has an address: sections, slots and variables, in the place of a bigint, and what keeps that address good.
 *
 * Their classes are public, so they lie above; each says here how its address is read when it is loaded. Only real ones are taken, since
 * they are asked by their private fields. `checks` uses this for every address that a user gives.
 */

import type { Handle } from './handle.ts'
import { makeList } from './intrinsics.ts'

/** What stands for an address. */
export interface Addressed {
  readonly address: bigint
  /** What keeps what it lies in. */
  readonly handle: Handle
}

/** Says what an object stands for, if it is of a class. */
export type Reader = (value: object) => Addressed | undefined

/** An image, which has an address for each of its symbols. */
export interface Symbols {
  readonly handle: Addressed['handle']
  readonly address: (name: string) => bigint
}

/** Says what an object is, if it is an image. */
export type ImageReader = (value: object) => Symbols | undefined

let readImage: ImageReader | undefined

/** Says how images are read: once, by their module. */
export function installImages(reader: ImageReader): void {
  readImage = reader
}

/** What a value is as an image; `undefined` if it is none. */
export function asImage(value: unknown): Symbols | undefined {
  return typeof value === 'object' && value !== null ? readImage?.(value) : undefined
}

const readers = makeList<Reader>()

/** Says how the addresses of a class are read: once, by its module. */
export function installReader(reader: Reader): void {
  readers[readers.length] = reader
}

/** What a value stands for; `undefined` if it is nothing that has an address. */
export function addressed(value: unknown): Addressed | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  for (let index = 0; index < readers.length; index++) {
    const found = readers[index]?.(value)
    if (found !== undefined) return found
  }
  return undefined
}

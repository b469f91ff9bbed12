/** What shall be placed, and where. */

import type { AddressLike } from './address.ts'
import type { Protection } from './protection.ts'

/**
 * A section that {@link CodeMemory.allocate} shall place.
 *
 * @example
 * ```ts
 * import type { SectionRequest } from 'codeslab'
 *
 * const table: SectionRequest = { protection: 'ro', bytes: Float64Array.of(0.5, 0.25), align: 8 }
 * ```
 *
 * @category Memory
 */
export interface SectionRequest {
  /** What it may be used for once it is published. */
  readonly protection: Protection
  /** How many bytes it has. Default: as many as `bytes`. */
  readonly size?: number
  /** What is written to its start at once. */
  readonly bytes?: ArrayBufferView | ArrayBuffer
  /** Its alignment in bytes, a power of two. Default: 16. */
  readonly align?: number
  /**
   * What {@link lookup}, debuggers and profilers ({@link MemoryHandle.tools}) call it. Default: the name of the section.
   */
  readonly name?: string
}

/**
 * An interval of addresses, both ends included.
 *
 * @example
 * ```ts
 * import type { AddressWindow } from 'codeslab'
 *
 * const below2GiB: AddressWindow = { first: 0, last: 0x7fff_ffff }
 * ```
 *
 * @category Memory
 */
export interface AddressWindow {
  /** The lowest address in it. */
  readonly first: AddressLike
  /** The highest address in it. */
  readonly last: AddressLike
}

/**
 * Where an allocation has to lie, besides within reach of itself. Every byte of it lies in all of these.
 *
 * @example A hook within reach of a function, so that a 5-byte jump gets there
 * ```ts
 * import { CodeMemory } from 'codeslab'
 *
 * declare const target: bigint
 * const hook = new CodeMemory().allocate({ text: { protection: 'rx', size: 64 } }, { near: target })
 * ```
 *
 * @category Memory
 */
export interface Placement {
  /** Windows in which it has to lie. */
  readonly within?: readonly AddressWindow[]
  /** An address that it has to be near: at most as many bytes away as the code model reaches, or as `reach` says. */
  readonly near?: AddressLike | Neighbourhood
}

/**
 * What is near an address.
 *
 * @example
 * ```ts
 * import type { Neighbourhood } from 'codeslab'
 *
 * const withinOneMegabyte: Neighbourhood = { address: 0x7f0000001000n, reach: 2 ** 20 }
 * ```
 *
 * @category Memory
 */
export interface Neighbourhood {
  /** The address. */
  readonly address: AddressLike
  /** How many bytes away is near, in either direction. Default: as many as the code model reaches. */
  readonly reach?: number
}

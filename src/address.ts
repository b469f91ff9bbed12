/** What can be given where an address is wanted. */

import type { NativeFunctionLike } from './signature.ts'

/**
 * What has an address, and stands for it where one is wanted: sections, slots and variables. Only real ones do.
 *
 * @example
 * ```ts
 * import { CodeMemory, type Addressable } from 'codeslab'
 *
 * const memory = new CodeMemory()
 * const table: Addressable = memory.allocate({ table: { protection: 'rw', size: 64 } }).finalize().table
 * memory.allocate({ text: { protection: 'rx', size: 64 } }, { near: table })
 * ```
 *
 * @category Memory
 */
export interface Addressable {
  /** Where it is. */
  readonly address: bigint
}

/**
 * An address: a bigint, a number that is a safe integer, what has an address, or a function that has its own in `pointer`.
 *
 * @example
 * ```ts
 * import { CodeMemory, type AddressLike } from 'codeslab'
 *
 * const memory = new CodeMemory()
 * const protectionOf = (address: AddressLike) => memory.find(address)?.protection
 * ```
 *
 * @category Memory
 */
export type AddressLike = bigint | number | Addressable | NativeFunctionLike

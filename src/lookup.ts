/** What an address is, by name. */

import * as native from '#native'
import type { AddressLike } from './address.ts'
import './errors.ts'
import { toAddress } from './internal/checks.ts'
import type { Protection } from './protection.ts'

/**
 * What an address is: see {@link lookup}.
 *
 * @example
 * ```ts
 * import type { Location } from 'codeslab'
 *
 * const show = ({ name = '?', offset, object = '' }: Location) => `${name}+0x${offset.toString(16)} ${object}`
 * ```
 *
 * @category Introspection
 */
export interface Location {
  /** Whether it lies in an image, in what was placed by hand, or elsewhere in the process. */
  readonly origin: 'image' | 'placed' | 'process'
  /** The function, variable or section; `undefined` for what has no name, such as the stubs of an image. */
  readonly name?: string
  /** The object that defines it, such as `libz.a(crc32.o)`; for the rest of the process, the path of the library or executable. */
  readonly object?: string
  /** Where that begins. */
  readonly address: bigint
  /** How far behind that the address is, in bytes. */
  readonly offset: number
  /** How many bytes it has; `undefined` for the rest of the process, which does not say. */
  readonly size?: number
  /** What it may be used for; `undefined` for the rest of the process. */
  readonly protection?: Protection
}

/**
 * What an address of this process is, a program counter for example: a function or variable of an image with the object that it comes
 * from (local ones, too), a section that was placed by hand, or a symbol of a library. `undefined` if it is none of them.
 *
 * A section is called what `allocate` was told (`name`), or by its name there once a function was made of it; others are found without a name. {@link CodeMemory.lookup} asks one memory only; {@link CodeMemory.find} knows no names and takes
 * no lock, for signal handlers and samplers.
 *
 * @param address - Any address.
 * @throws `TypeError` with `ERR_INVALID_ARG_TYPE` or `RangeError` with `ERR_OUT_OF_RANGE` for what is no address.
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import { CodeMemory, lookup } from 'codeslab'
 *
 * const image = new CodeMemory().link(readFileSync('libz.a'))
 * lookup(image.address('crc32') + 16n) // { name: 'crc32', object: 'input(crc32.o)', offset: 16, … }
 * ```
 *
 * @category Introspection
 */
export function lookup(address: AddressLike): Location | undefined {
  return native.lookup(undefined, toAddress(address, 'address')) ?? undefined
}

/** What can be linked, and how. */

import type { AddressLike } from './address.ts'
import type { Graph } from './graph.ts'
import type { Image } from './image.ts'
import type { ParsedInput } from './parsed.ts'

/**
 * An object file or an archive, told apart by its first bytes, under the name that errors shall call it.
 *
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import type { NamedInput } from 'codeslab'
 *
 * const named = (path: string): NamedInput => ({ name: path, bytes: readFileSync(path) })
 * ```
 *
 * @category Linking
 */
export interface NamedInput {
  /** What errors call it. */
  readonly name: string
  /** All of it. */
  readonly bytes: ArrayBufferView | ArrayBuffer
}

/**
 * What can be linked: the bytes of an object file or archive, with or without a name; what {@link CodeMemory.load} made of them; or a
 * {@link Graph}.
 *
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import type { LinkInput } from 'codeslab'
 *
 * const inputs: LinkInput[] = [readFileSync('main.o'), { name: 'libm.a', bytes: readFileSync('libm.a') }]
 * ```
 *
 * @category Linking
 */
export type LinkInput = ArrayBufferView | ArrayBuffer | NamedInput | Graph | ParsedInput

/**
 * The address of an external: a bigint, a number, a section, a variable, a slot, a function that has one in `pointer`, or an image that
 * defines the symbol. Sections, variables, slots and images are kept while the new image is there.
 *
 * @example
 * ```ts
 * import type { ExternalAddress } from 'codeslab'
 *
 * const externals: Record<string, ExternalAddress> = { counter: 0x7f0000001000n }
 * ```
 *
 * @category Linking
 */
export type ExternalAddress = AddressLike | Image

/**
 * How to link.
 *
 * A symbol that the inputs do not define is looked for in `externals`, then in `libraries`, then in the process.
 *
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import { CodeMemory } from 'codeslab'
 *
 * const image = new CodeMemory().link(readFileSync('libgmp.a'), {
 *   roots: ['__gmpz_init', '__gmpz_mul'],
 *   processSymbols: false,
 *   externals: { abort: 0n },
 * })
 * ```
 *
 * @category Linking
 */
export interface LinkOptions {
  /** Symbols that you provide; they come before every other external. */
  readonly externals?: Readonly<Record<string, ExternalAddress>> | ReadonlyMap<string, ExternalAddress>
  /** Whether symbols of the process itself are found: its executable and the libraries that it has loaded. Default: true. */
  readonly processSymbols?: boolean
  /** If there are any: archives among the inputs give only the members that these symbols need. Default: they give all. */
  readonly roots?: readonly string[]
  /**
   * What defines what is missing, asked in this order: archives, of which the members are linked that do, and images that were linked
   * before, which are kept while the new one is there. A string is the path of a shared library, an archive or a linker script, or the name
   * under which the dynamic linker finds a shared library.
   */
  readonly libraries?: readonly (LinkInput | Image | string)[]
  /**
   * Whether sections are left out that neither the roots nor, without roots, any global symbol needs, as with `ld --gc-sections`. Worth it
   * for code that was compiled with `-ffunction-sections -fdata-sections`. Default: false.
   */
  readonly gc?: boolean
  /** Names for which references go to `__wrap_NAME`, and those to `__real_NAME` to the name itself, as with `ld --wrap`. */
  readonly wrap?: readonly string[]
  /** Symbols that are another symbol, one and an offset (`'helper+4'`), or an address, as with `ld --defsym`. */
  readonly defsym?: Readonly<Record<string, string | bigint | number>>
  /**
   * Functions that {@link Image.replace} can replace while threads run them: those with these names, or all that others can see. Every
   * reference to one leads through a word of memory then. Default: none.
   */
  readonly replaceable?: boolean | readonly string[]
}

/**
 * What linking would take: see {@link CodeMemory.estimate}.
 *
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import { CodeMemory, type LinkEstimate } from 'codeslab'
 *
 * const { code, objects }: LinkEstimate = new CodeMemory().estimate(readFileSync('libz.a'), { roots: ['crc32'] })
 * ```
 *
 * @category Linking
 */
export interface LinkEstimate {
  /** Bytes of code, with stubs. */
  readonly code: number
  /** Bytes of constants, with the global offset table. */
  readonly constants: number
  /** Bytes of data. */
  readonly data: number
  /** The objects that take part, in their order. */
  readonly objects: readonly string[]
}

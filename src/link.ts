/** What can be linked, and how. */

import type { AddressLike } from './address.ts'
import type { Graph } from './graph.ts'
import type { Image } from './image.ts'

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
 * What can be linked: the bytes of an object file or archive, with or without a name, or a {@link Graph}.
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
export type LinkInput = ArrayBufferView | ArrayBuffer | NamedInput | Graph

/**
 * What defines symbols that the inputs do not: everything that can be linked, of which a link takes what it needs; an {@link Image} that
 * was linked before; or the path of an archive, an object, a linker script or a shared library. A name without a slash is that of a
 * shared library that the dynamic linker finds.
 *
 * An image or library that is used stays as long as the new image does.
 *
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import { CodeMemory, type LinkLibrary } from 'codeslab'
 *
 * const memory = new CodeMemory()
 * const runtime = memory.link(readFileSync('runtime.o'))
 * const libraries: LinkLibrary[] = [runtime, '/usr/lib/x86_64-linux-gnu/libm.a', 'libssl.so.3']
 * const image = memory.link(readFileSync('program.o'), { libraries })
 * ```
 *
 * @category Linking
 */
export type LinkLibrary = LinkInput | Image | string

/**
 * The address of an external: a bigint, a number, a section, a variable, or a function that has one in `pointer`.
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
export type ExternalAddress = AddressLike

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
  /** What defines what is missing, asked in this order. Of archives, the members that are needed are linked. */
  readonly libraries?: readonly LinkLibrary[]
  /**
   * Whether sections that nothing needs are left out, as `ld --gc-sections` does. What is needed begins with `roots`, or without any with
   * all that the inputs define and do not hide. Default: false.
   */
  readonly gc?: boolean
  /** Names for which references go to `__wrap_NAME`, and references to `__real_NAME` to the name itself, as in `ld --wrap`. */
  readonly wrap?: readonly string[]
  /**
   * Symbols that are defined as another one (`'other'`), a place near it (`'other+8'`), or an address, whatever the inputs say, as in
   * `ld --defsym`. Each may use those before it.
   */
  readonly defsym?: Readonly<Record<string, string | bigint | number>> | ReadonlyMap<string, string | bigint | number>
  /** Whether only to say what linking would take: see {@link LinkEstimate}. Default: false. */
  readonly dryRun?: boolean
}

/**
 * What linking would take. Nothing has been placed, written or run for it; what cannot be linked is thrown as by linking.
 *
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import { CodeMemory, type LinkEstimate } from 'codeslab'
 *
 * const needed: LinkEstimate = new CodeMemory().link(readFileSync('libz.a'), { roots: ['crc32'], gc: true, dryRun: true })
 * needed.objects // ['libz.a(crc32.o)', …]
 * ```
 *
 * @category Linking
 */
export interface LinkEstimate {
  /** Bytes of code, with the stubs by which it reaches far. */
  readonly code: number
  /** Bytes of constants, with the table of addresses. */
  readonly constants: number
  /** Bytes of data. */
  readonly data: number
  /** The objects that take part. */
  readonly objects: readonly string[]
}

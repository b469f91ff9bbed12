/** What can be linked, and how. */

import type { NativeInputs, NativeLinkOptions } from '#native'
import {
  checkBoolean,
  checkObject,
  checkShape,
  checkString,
  checkStrings,
  invalidType,
  names,
  toAddress,
  toBytes,
} from './checks.ts'
import { encodeGraph, type Graph } from './graph.ts'
import type { NativeFunctionLike } from './signature.ts'

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
 * The address of an external: a bigint, a number, or a function that has one in `pointer`.
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
export type ExternalAddress = bigint | number | NativeFunctionLike

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
  /** Archives that are pulled in on demand: the members that define what is missing. */
  readonly libraries?: readonly LinkInput[]
}

const inputNames = names<NamedInput>({ name: true, bytes: true })
const optionNames = names<LinkOptions>({ externals: true, processSymbols: true, roots: true, libraries: true })

/**
 * Inputs as native code takes them.
 *
 * @internal
 */
export function encodeInputs(inputs: LinkInput | readonly LinkInput[], what: string): NativeInputs {
  const list: readonly LinkInput[] = Array.isArray(inputs) ? inputs : [inputs as LinkInput]
  const encoded = list.map((input, index) =>
    encodeInput(input, Array.isArray(inputs) ? `${what}[${String(index)}]` : what),
  )
  return {
    names: encoded.map(({ name }) => name),
    contents: encoded.map(({ bytes }) => bytes),
    graphs: encoded.map(({ graph }) => graph),
  }
}

function encodeInput(input: LinkInput, what: string): { name: string; bytes: Uint8Array; graph: boolean } {
  if (ArrayBuffer.isView(input) || input instanceof ArrayBuffer) {
    return { name: what, bytes: toBytes(input, what), graph: false }
  }
  // The name of a file is what people try first.
  if (typeof input === 'string')
    throw invalidType(what, 'bytes, not the name of a file: pass readFileSync(name)', input)
  checkObject(input, what)
  const { name = what } = input
  checkString(name, `name of ${what}`)
  if ('sections' in input) return { name, bytes: encodeGraph(input, name), graph: true }
  checkShape(input, what, inputNames)
  if (!('bytes' in input)) throw invalidType(what, 'bytes, an object with name and bytes, or a graph', input)
  return { name, bytes: toBytes(input.bytes, `bytes of ${what}`), graph: false }
}

/**
 * Options as native code takes them.
 *
 * @internal
 */
export function encodeOptions(options: LinkOptions): NativeLinkOptions {
  checkShape(options, 'options', optionNames)
  const { externals = {}, processSymbols = true, roots = [], libraries = [] } = options
  checkBoolean(processSymbols, 'processSymbols')
  checkStrings(roots, 'roots')
  if (!Array.isArray(libraries)) throw invalidType('libraries', 'an array', libraries)
  checkObject(externals, 'externals')
  const entries: [string, ExternalAddress][] =
    externals instanceof Map
      ? [...(externals as Map<string, ExternalAddress>)]
      : Object.entries<ExternalAddress>(externals as Record<string, ExternalAddress>)
  return {
    externalNames: entries.map(([name]) => name),
    externalAddresses: entries.map(([name, address]) => toExternal(name, address)),
    processSymbols,
    roots: [...roots],
    libraries: encodeInputs(libraries, 'libraries'),
  }
}

function toExternal(name: unknown, address: ExternalAddress): bigint {
  checkString(name, 'name of an external')
  return toAddress(typeof address === 'function' ? address.pointer : address, `external ${name}`)
}

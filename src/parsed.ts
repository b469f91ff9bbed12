/** Inputs that are parsed once and linked again and again. */

import { inspect, type InspectOptionsStylized } from 'node:util'
import * as native from '#native'
import { checkConstruct, construct } from './internal/construct.ts'
import './errors.ts'
import { describe } from './internal/inspect.ts'
import { installParsed, type ParsedHandle } from './internal/parsed.ts'
import { markAsUncloneable } from './internal/uncloneable.ts'

/**
 * The parsed input of a handle.
 *
 * @internal
 */
export let makeParsed: (name: string, handle: ParsedHandle) => ParsedInput

/**
 * An object file or an archive that {@link CodeMemory.load} has parsed. It may be linked any number of times, into any memory of this thread, and
 * wherever bytes may be: as an input or among the libraries. It holds a copy of what it was made of.
 *
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import { CodeMemory } from 'codeslab'
 *
 * const memory = new CodeMemory()
 * const libz = CodeMemory.load({ name: 'libz.a', bytes: readFileSync('libz.a') })
 * const first = memory.link(libz, { roots: ['crc32'] })
 * const second = memory.link(libz, { roots: ['adler32'] })
 * ```
 *
 * @category Linking
 */
export class ParsedInput {
  readonly #handle: ParsedHandle
  /** What errors call it. */
  readonly name: string

  static {
    makeParsed = (name, handle) => new ParsedInput(construct, name, handle)
    installParsed(value => (#handle in value ? value.#handle : undefined))
  }

  private constructor(key: typeof construct, name: string, handle: ParsedHandle) {
    checkConstruct(key, 'ParsedInput', 'CodeMemory.load')
    markAsUncloneable(this)
    this.#handle = handle
    this.name = name
  }

  /** How many bytes it was made of, its name included. */
  get size(): number {
    return native.parsedSize(this.#handle)
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return describe('ParsedInput', { name: this.name, size: this.size }, depth, options)
  }
}

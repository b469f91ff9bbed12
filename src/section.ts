/** A section of what is published: its code to be called, its data to be read and written. */

import { inspect, type InspectOptionsStylized } from 'node:util'
import * as native from '#native'
import { installReader } from './internal/address.ts'
import { toOffset } from './internal/checks.ts'
import { checkConstruct, construct } from './internal/construct.ts'
import { Data } from './internal/data.ts'
import './errors.ts'
import type { Handle } from './internal/handle.ts'
import { describe } from './internal/inspect.ts'
import { life } from './internal/life.ts'
import { addressOf, regions, type Place } from './internal/place.ts'
import { withSignature } from './internal/signature.ts'
import type { Protection } from './protection.ts'
import type { NativeFunction, Signature } from './signature.ts'
import { makeVariable, type DataType, type Variable } from './variable.ts'

/**
 * The section of a handle with this number.
 *
 * @internal
 */
export let makeSection: (handle: Handle, index: number, place: Place) => Section

/**
 * A section of an {@link Allocation}.
 *
 * @example
 * ```ts
 * import { CodeMemory } from 'codeslab'
 *
 * const { table } = new CodeMemory().allocate({ table: { protection: 'ro', bytes: Float64Array.of(1, 2, 3) } }).finalize()
 * console.log(table) // Section { table: 0x7f2c8a400000 (ro, 24 bytes) }
 * ```
 *
 * @category Memory
 */
export class Section {
  readonly #handle: Handle
  readonly #index: number
  readonly #place: Place
  #bytes: Data | undefined

  static {
    makeSection = (handle, index, place) => new Section(construct, handle, index, place)
    installReader(value => (#place in value ? { address: addressOf(value.#place), handle: value.#handle } : undefined))
  }

  private constructor(key: typeof construct, handle: Handle, index: number, place: Place) {
    checkConstruct(key, 'Section', 'a property of an Allocation')
    this.#handle = handle
    this.#index = index
    this.#place = place
  }

  /** Its name. */
  get name(): string {
    return this.#place.name
  }

  /** Where it runs or is read. */
  get address(): bigint {
    return addressOf(this.#place)
  }

  /** How many bytes it has. */
  get size(): number {
    return this.#place.size
  }

  /** What it may be used for. */
  get protection(): Protection {
    return this.#place.protection
  }

  /**
   * A function that calls the code in it.
   *
   * @param signature - What the code takes and returns.
   * @param offset - Where it begins, in bytes from the start of the section.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_NOT_EXECUTABLE` if this is no code, `ERR_CODESLAB_OUT_OF_BOUNDS` if the
   * offset is outside of it, `ERR_CODESLAB_INVALID_SIGNATURE`, or `ERR_CODESLAB_FREED`.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const code = Uint8Array.of(0x8d, 0x04, 0x37, 0xc3) // lea eax, [rdi + rsi]; ret
   * const { text } = new CodeMemory().allocate({ text: { protection: 'rx', bytes: code } }).finalize()
   * const add = text.function({ return: 'int32', arguments: ['int32', 'int32'] })
   * add(40, 2) // 42
   * ```
   */
  function<const S extends Signature>(signature: S, offset = 0): NativeFunction<S> {
    return withSignature(signature, signed =>
      life.call(this.#handle.number, this.#index, this.#place.name, toOffset(offset), signed),
    ) as NativeFunction<S>
  }

  /**
   * A copy of what it holds now. Machine code and other threads may be writing; a value of at most 8 bytes at a multiple of its size is
   * never copied half-written.
   *
   * @param offset - Where to begin, in bytes from the start of the section.
   * @param length - How many bytes. Default: all that follow.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_NOT_DATA` if it is code, `ERR_CODESLAB_OUT_OF_BOUNDS` if they are not all in it, or
   * `ERR_CODESLAB_FREED`.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const { state } = new CodeMemory().allocate({ state: { protection: 'rw', bytes: Buffer.from('state') } }).finalize()
   * Buffer.from(state.read(1, 3)).toString() // 'tat'
   * ```
   */
  read(offset = 0, length?: number): Uint8Array {
    return this.#region().read(offset, length)
  }

  /**
   * Copies bytes into it. What is published stays writable in `'rw'` memory.
   *
   * @param bytes - What to copy.
   * @param offset - Where to, in bytes from the start of the section.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_NOT_WRITABLE` if it is constant, `ERR_CODESLAB_NOT_DATA` if it is code,
   * `ERR_CODESLAB_OUT_OF_BOUNDS` if they do not fit there, or `ERR_CODESLAB_FREED`. `TypeError` with `ERR_INVALID_ARG_TYPE` if they are no
   * bytes.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const { table } = new CodeMemory().allocate({ table: { protection: 'rw', size: 64 } }).finalize()
   * table.write(Int32Array.of(1, 2, 3), 16)
   * ```
   */
  write(bytes: ArrayBufferView | ArrayBuffer, offset = 0): void {
    this.#region().write(bytes, offset)
  }

  /**
   * Its bytes themselves, not a copy: what machine code and other threads write shows, and what is written here they see. Use `Atomics` on a
   * typed array of its `buffer` where they write at the same time.
   *
   * Freeing detaches it, which leaves it empty: at once in the thread that frees, in other threads when their event loop turns; until then,
   * and while an operation of Node still uses the buffer, the memory stays. Do not free while you wait for such an operation: as with
   * every buffer that is detached, what it does then is not defined.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_NOT_WRITABLE` if it is constant, `ERR_CODESLAB_NOT_DATA` if it is code,
   * `ERR_CODESLAB_FREED`, or `ERR_CODESLAB_NO_VIEWS` in a runtime that has no such buffers.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const { counters } = new CodeMemory().allocate({ counters: { protection: 'rw', size: 64 } }).finalize()
   * const { buffer, byteOffset } = counters.view()
   * const words = new Int32Array(buffer, byteOffset, 16)
   * Atomics.add(words, 0, 1)
   * ```
   */
  view(): Uint8Array {
    return this.#region().view()
  }

  /**
   * A variable in it, to be read and written by its type.
   *
   * @param type - Its type; a byte if there is none. If there is room for more than one, they are an array.
   * @param offset - Where it is, in bytes from the start of the section.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_NOT_DATA` if it is code, `ERR_CODESLAB_OUT_OF_BOUNDS` if there is no room for one there,
   * or `ERR_CODESLAB_FREED`. `TypeError` with `ERR_INVALID_ARG_VALUE` for a type that there is not.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const { state } = new CodeMemory().allocate({ state: { protection: 'rw', size: 16 } }).finalize()
   * const total = state.data('uint64', 8)
   * total.value += 1n
   * ```
   */
  data<T extends DataType = 'uint8'>(type?: T, offset = 0): Variable<T> {
    return makeVariable(this.#region(), this.#handle, type, offset) as Variable<T>
  }

  #region(): Data {
    if (this.#bytes !== undefined) return this.#bytes
    const { name, size } = this.#place
    const region = native.sectionData(this.#handle.number, this.#index, name)
    this.#bytes = new Data(region, `section ${name}`, addressOf(this.#place), size)
    return this.#bytes
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return describe('Section', regions([this.#place]), depth, options)
  }
}

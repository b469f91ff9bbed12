/** Variables in published data, read and written by their types. */

import { inspect, type InspectOptionsStylized } from 'node:util'
import type { AddressLike } from './address.ts'
import { installReader } from './internal/address.ts'
import { toCount } from './internal/checks.ts'
import { checkConstruct, construct } from './internal/construct.ts'
import type { Data } from './internal/data.ts'
import { exchange, toElement, type Element } from './internal/elements.ts'
import './errors.ts'
import type { Handle } from './internal/handle.ts'
import { describe, region } from './internal/inspect.ts'
import { piece, prefix, toBigInt, toText } from './internal/intrinsics.ts'
import { refusal } from './internal/refusal.ts'

/**
 * The type of a variable, by the names of `node:ffi`. A `bool` is a byte.
 *
 * @example
 * ```ts
 * import type { DataType } from 'codeslab'
 *
 * const counter: DataType = 'uint32'
 * ```
 *
 * @category Data
 */
export type DataType =
  | ('bool' | 'int8' | 'i8' | 'uint8' | 'u8' | 'int16' | 'i16' | 'uint16' | 'u16' | 'int32' | 'i32' | 'uint32' | 'u32')
  | (
      | 'int64'
      | 'i64'
      | 'uint64'
      | 'u64'
      | 'float32'
      | 'f32'
      | 'float'
      | 'float64'
      | 'f64'
      | 'double'
      | 'pointer'
      | 'ptr'
    )

/**
 * What a variable of a type holds: a boolean, a bigint for 64 bits and addresses, and a number for everything else.
 *
 * @example
 * ```ts
 * import type { DataValue } from 'codeslab'
 *
 * const total: DataValue<'uint64'> = 2n ** 40n
 * ```
 *
 * @category Data
 */
export type DataValue<T extends DataType> = T extends 'bool'
  ? boolean
  : T extends 'int64' | 'i64' | 'uint64' | 'u64' | 'pointer' | 'ptr'
    ? bigint
    : number

/**
 * What can be assigned to a variable of a type. 64 bits take numbers that are safe integers as well, and a pointer everything that has
 * an address, or null.
 *
 * @example
 * ```ts
 * import type { DataInput } from 'codeslab'
 *
 * const handler: DataInput<'pointer'> = null
 * ```
 *
 * @category Data
 */
export type DataInput<T extends DataType> = T extends 'pointer' | 'ptr'
  ? AddressLike | null
  : T extends 'int64' | 'i64' | 'uint64' | 'u64'
    ? bigint | number
    : DataValue<T>

/**
 * The variable of a type at an offset of some data, or an array of them.
 *
 * @internal
 */
export let makeVariable: (data: Data, handle: Handle, type: DataType | undefined, offset: number) => Variable

/**
 * A variable of machine code, or an array of them: what {@link Image.data} and {@link Section.data} give.
 *
 * It is read and written where it is, every time. A value is read and written as a whole if it lies at a multiple of its size, however
 * many threads do; for more than that, such as adding to it, use `Atomics` on {@link Variable.view}.
 *
 * @example
 * ```ts
 * import type { Image } from 'codeslab'
 *
 * declare const image: Image // static int counter; double weights[8];
 * const counter = image.data('counter', 'int32')
 * counter.value += 1
 * const weights = image.data('weights', 'double')
 * for (let index = 0; index < weights.length; index++) weights.set(index, 1 / weights.length)
 * ```
 *
 * @category Data
 */
export class Variable<T extends DataType = DataType> {
  readonly #data: Data
  readonly #handle: Handle
  readonly #type: T
  readonly #element: Element
  readonly #offset: number

  static {
    makeVariable = (data, handle, type, offset) => new Variable(construct, data, handle, type ?? 'uint8', offset)
    installReader(value =>
      #data in value ? { address: value.#data.address + toBigInt(value.#offset), handle: value.#handle } : undefined,
    )
  }

  private constructor(key: typeof construct, data: Data, handle: Handle, type: T, offset: number) {
    checkConstruct(key, 'Variable', 'data() of an Image or a Section')
    this.#data = data
    this.#handle = handle
    this.#type = type
    this.#element = toElement(type)
    this.#offset = toCount(offset, 'offset')
    if (this.length === 0) throw tooSmall(data, type, this.#element.width, offset)
  }

  /** Where it is. */
  get address(): bigint {
    return this.#data.address + toBigInt(this.#offset)
  }

  /** Its type. */
  get type(): T {
    return this.#type
  }

  /** How many bytes it has: those of one value, or of the whole array. */
  get size(): number {
    return this.length * this.#element.width
  }

  /** How many values it has: as many as there is room for in the symbol or section. */
  get length(): number {
    const { width } = this.#element
    const room = this.#data.size - this.#offset
    return room > 0 ? (room - (room % width)) / width : 0
  }

  /**
   * What it holds; of an array, its first value.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_FREED`; when it is assigned, also `ERR_CODESLAB_NOT_WRITABLE` if it is constant.
   * `TypeError` or `RangeError` for a value that the type does not have.
   */
  // eslint-disable-next-line @typescript-eslint/related-getter-setter-pairs -- more can be assigned than comes out: a number for 64 bits
  get value(): DataValue<T> {
    return this.get(0)
  }

  /** What it shall hold; of an array, its first value. */
  set value(value: DataInput<T>) {
    this.set(0, value)
  }

  /**
   * A value of an array.
   *
   * @param index - Which one: from 0 to one below {@link Variable.length}.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_OUT_OF_BOUNDS` or `ERR_CODESLAB_FREED`.
   * @example
   * ```ts
   * import type { Image } from 'codeslab'
   *
   * declare const image: Image
   * image.data('primes', 'uint32').get(3) // 7
   * ```
   */
  get(index: number): DataValue<T> {
    const { width, get } = this.#element
    this.#data.load(this.#at(index), prefix(exchange, width))
    return get() as DataValue<T>
  }

  /**
   * Sets a value of an array.
   *
   * @param index - Which one: from 0 to one below {@link Variable.length}.
   * @param value - What it shall hold. Nothing is coerced.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_OUT_OF_BOUNDS`, `ERR_CODESLAB_NOT_WRITABLE` if it is constant, or
   * `ERR_CODESLAB_FREED`. `TypeError` or `RangeError` for a value that the type does not have.
   * @example
   * ```ts
   * import type { Image } from 'codeslab'
   *
   * declare const image: Image
   * image.data('weights', 'double').set(3, 0.25)
   * ```
   */
  set(index: number, value: DataInput<T>): void {
    const { width, set } = this.#element
    const at = this.#at(index)
    set(value, 'value')
    this.#data.store(at, prefix(exchange, width))
  }

  /**
   * A copy of its bytes: see {@link Section.read}.
   *
   * @example
   * ```ts
   * import type { Image } from 'codeslab'
   *
   * declare const image: Image
   * new TextDecoder().decode(image.data('banner').read())
   * ```
   */
  read(): Uint8Array {
    return this.#data.read(this.#offset, this.size)
  }

  /**
   * Copies bytes into it: see {@link Section.write}.
   *
   * @param bytes - What to copy.
   * @param offset - Where to, in bytes from its start.
   * @example
   * ```ts
   * import type { Image } from 'codeslab'
   *
   * declare const image: Image
   * image.data('weights', 'double').write(Float64Array.of(0.5, 0.25))
   * ```
   */
  write(bytes: ArrayBufferView | ArrayBuffer, offset = 0): void {
    this.#data.write(bytes, this.#offset + toCount(offset, 'offset'))
  }

  /**
   * Its bytes themselves: see {@link Section.view}.
   *
   * @example
   * ```ts
   * import type { Image } from 'codeslab'
   *
   * declare const image: Image
   * const { buffer, byteOffset } = image.data('counter', 'int32').view()
   * Atomics.add(new Int32Array(buffer, byteOffset, 1), 0, 1)
   * ```
   */
  view(): Uint8Array {
    return piece(this.#data.view(), this.#offset, this.size)
  }

  #at(index: unknown): number {
    const at = toCount(index, 'index')
    if (at < this.length) return this.#offset + at * this.#element.width
    const message = `index ${toText(at)} is outside of ${this.#data.name}, which has ${toText(this.length)} of type ${this.#type}`
    throw refusal('ERR_CODESLAB_OUT_OF_BOUNDS', message, { data: this.#data.name, index: at, length: this.length })
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return describe(
      `Variable<${this.#type}>`,
      { [this.#data.name]: region(this.address, this.size, undefined) },
      depth,
      options,
    )
  }
}

function tooSmall({ name, size }: Data, type: string, width: number, offset: number): Error {
  const message = `there is no room for a value of type ${type}, ${toText(width)} bytes, at offset ${toText(offset)} of ${name}, which has ${toText(size)} bytes`
  return refusal('ERR_CODESLAB_OUT_OF_BOUNDS', message, { data: name, offset, length: width, size })
}

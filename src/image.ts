/// <reference lib="esnext.disposable" preserve="true" />
/** What linking yields. */

import { inspect, type InspectOptionsStylized } from 'node:util'
import * as native from '#native'
import type { AddressLike } from './address.ts'
import { installImages } from './internal/address.ts'
import { checkString } from './internal/checks.ts'
import { checkConstruct, construct } from './internal/construct.ts'
import { Data } from './internal/data.ts'
import './errors.ts'
import { announce } from './internal/freed.ts'
import { settleLater } from './internal/grace.ts'
import { describe, region } from './internal/inspect.ts'
import { makeWords, toNumber } from './internal/intrinsics.ts'
import { markAsUncloneable } from './internal/uncloneable.ts'
import type { Protection } from './protection.ts'
import { typeNames } from './internal/signature.ts'
import type { NativeFunction, Signature } from './signature.ts'
import { toTarget } from './slot.ts'
import { makeVariable, type DataType, type Variable } from './variable.ts'

type CodeHandle = ReturnType<typeof native.link>

/**
 * The image of a handle.
 *
 * @internal
 */
export let makeImage: (handle: CodeHandle) => Image

/** How many symbols `inspect` shows. */
const SHOWN = 8

/**
 * A symbol that an image defines.
 *
 * @example
 * ```ts
 * import type { Image, ImageSymbol } from 'codeslab'
 *
 * const functions = (image: Image): ImageSymbol[] => image.symbols().filter(({ protection }) => protection === 'rx')
 * ```
 *
 * @category Linking
 */
export interface ImageSymbol {
  /** Its name. */
  readonly name: string
  /** Where it is. */
  readonly address: bigint
  /** How many bytes it has; 0 where the object does not say. */
  readonly size: number
  /** What it lies in; `undefined` for an absolute symbol. */
  readonly protection?: Protection
  /** The object that defines it. */
  readonly object: string
}

/**
 * Linked code and data, published.
 *
 * It owns its memory. Dropping the last reference to it and to the functions made from it frees it when they are collected;
 * {@link Image.free} does so at once. An address alone keeps nothing alive.
 *
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import { CodeMemory } from 'codeslab'
 *
 * const image = new CodeMemory().link(readFileSync('libz.a'))
 * const crc32 = image.function('crc32', { return: 'uint64', arguments: ['uint64', 'pointer', 'uint32'] })
 * crc32(0n, Buffer.from('123456789'), 9) // 3421780262n
 * image.free()
 * ```
 *
 * @category Linking
 */
export class Image {
  readonly #handle: CodeHandle

  static {
    makeImage = handle => new Image(construct, handle)
    installImages(value => {
      if (!(#handle in value)) return undefined
      const handle = value.#handle
      return { handle, address: name => native.imageAddress(handle, name) }
    })
  }

  private constructor(key: typeof construct, handle: CodeHandle) {
    checkConstruct(key, 'Image', 'CodeMemory.link')
    markAsUncloneable(this)
    this.#handle = handle
  }

  /**
   * Opens an image that another thread of this process shared with {@link Image.share}.
   *
   * It is one image: a thread that frees it frees it for all threads.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_UNKNOWN_TOKEN` if the token stands for no image, or for one that is gone.
   * @example
   * ```ts
   * import { workerData } from 'node:worker_threads'
   * import { Image } from 'codeslab'
   *
   * const image = Image.open(workerData.image)
   * ```
   */
  static open(token: string): Image {
    checkString(token, 'token')
    return makeImage(native.openSharedImage(token))
  }

  /** Whether it has been freed, by any thread. */
  get freed(): boolean {
    return native.isFreed(this.#handle)
  }

  /**
   * A function that calls the code of a symbol.
   *
   * @param name - The symbol.
   * @param signature - What its code takes and returns. Nothing checks that it does.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_UNKNOWN_SYMBOL`, `ERR_CODESLAB_NOT_EXECUTABLE` if the symbol is data,
   * `ERR_CODESLAB_INVALID_SIGNATURE`, or `ERR_CODESLAB_FREED`.
   * @example
   * ```ts
   * import type { Image } from 'codeslab'
   *
   * declare const image: Image
   * const add = image.function('add', { return: 'int32', arguments: ['int32', 'int32'] })
   * add(40, 2)
   * ```
   */
  function<const S extends Signature>(name: string, signature: S): NativeFunction<S> {
    checkString(name, 'name')
    return native.imageFunction(this.#handle, name, typeNames(signature)) as NativeFunction<S>
  }

  /**
   * The data of a symbol, to be read and written by its type.
   *
   * @param name - The symbol.
   * @param type - The type of its values; bytes if there is none. Nothing checks that they are of that type. A symbol that is larger than one
   * is an array. One of which the object does not say how large it is goes on to the end of its memory.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_UNKNOWN_SYMBOL`, `ERR_CODESLAB_NOT_DATA` if the symbol is code or has no memory,
   * `ERR_CODESLAB_OUT_OF_BOUNDS` if it is smaller than one value, or `ERR_CODESLAB_FREED`. `TypeError` with `ERR_INVALID_ARG_VALUE` for a type
   * that there is not.
   * @example
   * ```ts
   * import type { Image } from 'codeslab'
   *
   * declare const image: Image
   * const counter = image.data('counter', 'int32')
   * counter.value = 42
   * ```
   */
  data<T extends DataType = 'uint8'>(name: string, type?: T): Variable<T> {
    checkString(name, 'name')
    const region = native.imageData(this.#handle, name, extent)
    const data = new Data(region, `symbol ${name}`, extent[0] ?? 0n, toNumber(extent[1]))
    return makeVariable(data, this.#handle, type, 0) as Variable<T>
  }

  /**
   * The symbols that it defines and others can see, by name.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_FREED`.
   * @example
   * ```ts
   * import type { Image } from 'codeslab'
   *
   * declare const image: Image
   * for (const { name, address } of image.symbols()) console.log(address.toString(16), name)
   * ```
   */
  symbols(): ImageSymbol[] {
    return native.imageSymbols(this.#handle)
  }

  /**
   * The address of a symbol: of a function to be passed as a callback, or of data.
   *
   * @param name - The symbol.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_UNKNOWN_SYMBOL` or `ERR_CODESLAB_FREED`.
   * @example
   * ```ts
   * import type { Image } from 'codeslab'
   *
   * declare const image: Image
   * const sort = image.function('sort', { arguments: ['pointer', 'uint64', 'function'] })
   * sort(Int32Array.of(3, 1, 2), 3, image.address('ascending'))
   * ```
   */
  address(name: string): bigint {
    checkString(name, 'name')
    return native.imageAddress(this.#handle, name)
  }

  /**
   * Has calls of a function that begin from now on, in any thread, arrive somewhere else: those in its own code, those of other images, and
   * those from JavaScript. Its address stays. It needs the option {@link LinkOptions.replaceable}.
   *
   * What it leads to is kept as by {@link Slot.replace}, until it leads elsewhere or this image is freed. Its own address as the target
   * leads it back to the function that was linked. Calls that the compiler has resolved within one object (inlined, or of a `static` function) stay
   * as they are; `-fPIC -fno-inline` leaves none to functions that others can see.
   *
   * @param name - The function.
   * @param target - A native function, a section, a slot, or any address, such as that of the new version in another image. That it takes and
   * returns the same is for you to see to.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_NOT_REPLACEABLE`, `ERR_CODESLAB_UNKNOWN_SYMBOL`, or `ERR_CODESLAB_FREED` if the image or
   * the target was freed.
   * @example
   * ```ts
   * import { readFileSync } from 'node:fs'
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory()
   * const program = memory.link(readFileSync('program.o'), { replaceable: true })
   * const better = memory.link(readFileSync('step.o'), { libraries: [program] })
   * program.replace('step', better.function('step', { return: 'int32', arguments: ['int32'] }))
   * ```
   */
  replace(name: string, target: AddressLike): void {
    checkString(name, 'name')
    const address = toTarget(target)
    if (native.replaceFunction(this.#handle, name, address)) settleLater()
  }

  /**
   * A token with which any thread of this process can {@link Image.open} it, while any thread has a reference to it.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_FREED`.
   * @example
   * ```ts
   * import { Worker } from 'node:worker_threads'
   * import type { Image } from 'codeslab'
   *
   * declare const image: Image
   * new Worker('./worker.js', { workerData: { image: image.share() } })
   * ```
   */
  share(): string {
    return native.shareImage(this.#handle)
  }

  /**
   * Gives the memory back. Functions made from it throw from now on, in every thread; a call that is running finishes first.
   * Nothing else may execute it or refer to it any more.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_FREED` if it was freed before.
   * @example
   * ```ts
   * import type { Image } from 'codeslab'
   *
   * declare const image: Image
   * image.free()
   * image.address('add') // throws
   * ```
   */
  free(): void {
    if (native.free(this.#handle)) announce()
  }

  /** Frees it, unless it was freed before. */
  [Symbol.dispose](): void {
    if (!this.freed) this.free()
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return this.freed
      ? describe('Image (freed)', {}, depth, options)
      : describe('Image', this.#summary(), depth, options)
  }

  #summary(): Record<string, unknown> {
    const symbols = this.symbols()
    const summary: Record<string, unknown> = {}
    for (const { name, address, size, protection } of symbols.slice(0, SHOWN)) {
      summary[name] = region(address, size, protection)
    }
    if (symbols.length > SHOWN) summary['more'] = symbols.length - SHOWN
    return summary
  }
}

/** Where native code writes the address and the size of data. */
const extent = makeWords(2)

/// <reference lib="esnext.disposable" preserve="true" />
/** JavaScript functions that native code can call. */

import { inspect, type InspectOptionsStylized } from 'node:util'
import * as native from '#native'
import './errors.ts'
import { checkConstruct, construct } from './internal/construct.ts'
import { describe } from './internal/inspect.ts'

type Handle = ReturnType<typeof native.makeCallback>

/**
 * The callback of a handle.
 *
 * @internal
 */
export let makeCallback: (handle: Handle) => Callback

/**
 * A JavaScript function as native code sees it: {@link CodeMemory.callback} makes it.
 *
 * It can be called until it is disposed of, whoever still refers to it here: native code may have kept its pointer. Native code that calls it
 * later gets zero, and nothing runs.
 *
 * @example
 * ```ts
 * import { CodeMemory, type Callback } from 'codeslab'
 *
 * const memory = new CodeMemory()
 * const callback: Callback = memory.callback({ arguments: ['int32'] }, code => console.log(code))
 * callback.pointer // what native code calls
 * callback.dispose()
 * ```
 *
 * @category Calling
 */
export class Callback {
  readonly #handle: Handle
  #disposed = false

  /** What native code calls: pass it where a function is wanted. It stays what it is when the callback has been disposed of. */
  readonly pointer: bigint

  static {
    makeCallback = handle => new Callback(construct, handle)
  }

  private constructor(key: typeof construct, handle: Handle) {
    checkConstruct(key, 'Callback', 'CodeMemory.callback')
    this.#handle = handle
    this.pointer = native.callbackPointer(handle)
  }

  /** Whether it has been disposed of. */
  get disposed(): boolean {
    return this.#disposed
  }

  /**
   * Gives it up. Native code that still calls it gets zero.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_DISPOSED` if that was done before.
   * @example
   * ```ts
   * import type { Callback } from 'codeslab'
   *
   * declare const callback: Callback
   * callback.dispose()
   * ```
   */
  dispose(): void {
    native.disposeCallback(this.#handle)
    this.#disposed = true
  }

  /** Gives it up, unless that was done before. */
  [Symbol.dispose](): void {
    if (!this.#disposed) this.dispose()
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    const name = this.#disposed ? 'Callback (disposed)' : 'Callback'
    return describe(name, { pointer: `0x${this.pointer.toString(16)}` }, depth, options)
  }
}

/// <reference lib="esnext.disposable" preserve="true" />
/** Slots: entries that stay, whose code is replaced while threads run it. */

import { inspect, type InspectOptionsStylized } from 'node:util'
import * as native from '#native'
import type { AddressLike } from './address.ts'
import { addressed, installReader } from './internal/address.ts'
import { checkString, toAddress } from './internal/checks.ts'
import { checkConstruct, construct } from './internal/construct.ts'
import './errors.ts'
import { announce } from './internal/freed.ts'
import { settleLater } from './internal/grace.ts'
import { FREED_SLOT, makeHandle, type Handle } from './internal/handle.ts'
import { describe, hexadecimal } from './internal/inspect.ts'
import { makeWords } from './internal/intrinsics.ts'
import { life } from './internal/life.ts'
import { withSignature } from './internal/signature.ts'
import { markAsUncloneable } from './internal/uncloneable.ts'
import type { NativeFunction, Signature } from './signature.ts'

/**
 * The slot of a handle.
 *
 * @internal
 */
export let makeSlot: (handle: Handle) => Slot

/**
 * Where a slot shall lead. What it leads to is kept from now on, if it is code of ours.
 *
 * @internal
 */
export function toTarget(target: unknown): bigint {
  const address = toAddress(target, 'target')
  const found = addressed(target)
  if (found !== undefined) native.watchCode(found.handle.number)
  return address
}

/**
 * An address to call, behind which code is replaced while threads run it.
 *
 * Callers use it like a function: JavaScript by {@link Slot.function}, machine code by its address, directly or by a branch with a 32-bit
 * displacement. {@link Slot.replace} is atomic: each call arrives at what the slot led to before or at what it leads to now. What it leads to is
 * kept: freeing that refuses new calls of its own functions at once, and gives the memory back when the slot leads elsewhere and every call
 * from JavaScript that was running then, in any thread, has returned. The same holds for what you drop.
 *
 * Threads that JavaScript did not start are not seen. Where such run code, keep what was replaced until you know that they have left it.
 *
 * @example
 * ```ts
 * import { CodeMemory } from 'codeslab'
 *
 * const memory = new CodeMemory()
 * const answer = (value: number) =>
 *   memory.allocate({ text: { protection: 'rx', bytes: Uint8Array.of(0xb8, value, 0, 0, 0, 0xc3) } }).finalize()
 * const first = answer(1)
 * const slot = memory.slot(first.text)
 * const call = slot.function({ return: 'int32' })
 * call() // 1
 * slot.replace(answer(2).text)
 * first.free() // Its memory goes when no thread can be in it any more.
 * call() // 2
 * ```
 *
 * @category Memory
 */
export class Slot {
  readonly #handle: Handle
  readonly #address: bigint

  static {
    makeSlot = handle => new Slot(construct, handle)
    installReader(value => (#address in value ? { address: value.#address, handle: value.#handle } : undefined))
  }

  private constructor(key: typeof construct, handle: Handle) {
    checkConstruct(key, 'Slot', 'CodeMemory.slot')
    markAsUncloneable(this)
    this.#handle = handle
    native.lookAtSlot(handle.number, words)
    this.#address = words[0] ?? 0n
  }

  /**
   * Opens a slot that another thread of this process shared with {@link Slot.share}. It is one slot: who replaces, replaces for all.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_UNKNOWN_TOKEN` if the token stands for no slot, or for one that is gone.
   * @example
   * ```ts
   * import { workerData } from 'node:worker_threads'
   * import { Slot } from 'codeslab'
   *
   * const step = Slot.open(workerData.step).function({ return: 'int32', arguments: ['int32'] })
   * ```
   */
  static open(token: string): Slot {
    checkString(token, 'token')
    return makeSlot(makeHandle(keeper => native.openSharedSlot(keeper, token)))
  }

  /** What callers call and branch to: the same as long as it is there. */
  get address(): bigint {
    return this.#address
  }

  /**
   * Where a call arrives that begins now.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_FREED`.
   */
  get target(): bigint {
    native.lookAtSlot(this.#handle.number, words)
    return words[1] ?? 0n
  }

  /** Whether it has been freed, by any thread. */
  get freed(): boolean {
    return native.isFreed(this.#handle.number)
  }

  /**
   * Has calls that begin from now on, in any thread, arrive somewhere else.
   *
   * @param target - A native function, a section, another slot, or any address. That it takes and returns the same as what it replaces is
   * for you to see to.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_FREED` if the slot or the target was freed.
   * @example
   * ```ts
   * import type { Image, Slot } from 'codeslab'
   *
   * declare const slot: Slot
   * declare const image: Image // the new version
   * slot.replace(image.function('step', { return: 'int32', arguments: ['int32'] }))
   * ```
   */
  replace(target: AddressLike): void {
    const address = toTarget(target)
    if (native.replaceSlot(this.#handle.number, address)) settleLater()
  }

  /**
   * A function that calls what it leads to at that time.
   *
   * @param signature - What the code takes and returns, whichever it is.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_INVALID_SIGNATURE` or `ERR_CODESLAB_FREED`.
   * @example
   * ```ts
   * import type { Slot } from 'codeslab'
   *
   * declare const slot: Slot
   * const step = slot.function({ return: 'int32', arguments: ['int32'] })
   * ```
   */
  function<const S extends Signature>(signature: S): NativeFunction<S> {
    return withSignature(signature, signed => life.call(this.#handle.number, 0, 'slot', 0, signed)) as NativeFunction<S>
  }

  /**
   * A token with which any thread of this process can {@link Slot.open} it, while any thread has a reference to it.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_FREED`.
   * @example
   * ```ts
   * import { Worker } from 'node:worker_threads'
   * import type { Slot } from 'codeslab'
   *
   * declare const slot: Slot
   * new Worker('./worker.js', { workerData: { step: slot.share() } })
   * ```
   */
  share(): string {
    return native.shareSlot(this.#handle.number)
  }

  /**
   * Gives it back. Functions made from it throw from now on, in every thread; nothing else may call it or branch to it any more. What it
   * led to goes as after {@link Slot.replace}.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_FREED` if it was freed before.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory()
   * const { text } = memory.allocate({ text: { protection: 'rx', bytes: Uint8Array.of(0xc3) } }).finalize() // ret
   * memory.slot(text).free()
   * ```
   */
  free(): void {
    const isViewed = life.free(this.#handle.number)
    this.#handle.number = FREED_SLOT
    if (isViewed) announce()
    settleLater()
  }

  /** Frees it, unless it was freed before. */
  [Symbol.dispose](): void {
    if (!this.freed) this.free()
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    const { address, freed } = this
    const target = freed ? undefined : hexadecimal(this.target)
    return describe(freed ? 'Slot (freed)' : 'Slot', { address, target }, depth, options)
  }
}

/** Where native code writes the address and the target of a slot. */
const words = makeWords(2)

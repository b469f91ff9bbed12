/// <reference lib="esnext.disposable" preserve="true" />
/** A handle to a memory: what it was opened with, what is in it, and giving back. */

import { inspect, type InspectOptionsStylized } from 'node:util'
import * as native from '#native'
import type { AddressLike } from './address.ts'
import { invalidType, outOfRange, toAddress } from './internal/checks.ts'
import { checkConstruct, construct } from './internal/construct.ts'
import './errors.ts'
import { describe } from './internal/inspect.ts'
import { freeze, makeWords, toNumber } from './internal/intrinsics.ts'
import { readAt, stringAt } from './internal/process.ts'
import { protectionAt } from './internal/protection.ts'
import { markAsUncloneable } from './internal/uncloneable.ts'
import type { Location } from './lookup.ts'
import type {
  CodeModel,
  Constants,
  Found,
  GracePeriod,
  MemoryLayout,
  MemoryStats,
  Quarantine,
  Sealing,
  Tools,
  Writer,
} from './stats.ts'

type NativeHandle = ReturnType<typeof native.openMemory>

type Configuration = ReturnType<typeof native.configuration>

/**
 * The native handle of a memory.
 *
 * @internal
 */
export let handleOf: (memory: MemoryHandle) => NativeHandle

/**
 * Whether a memory tells debuggers or profilers of its code.
 *
 * @internal
 */
export let tellsTools: (memory: MemoryHandle) => boolean

/**
 * A handle to a memory: what every {@link CodeMemory} can tell of itself, and how it gives back.
 *
 * @example
 * ```ts
 * import { CodeMemory, type MemoryHandle } from 'codeslab'
 *
 * const mebibytes = (memory: MemoryHandle) => memory.stats().committedBytes / 2 ** 20
 * mebibytes(new CodeMemory()) // 0
 * ```
 *
 * @category Memory
 */
export abstract class MemoryHandle {
  readonly #handle: NativeHandle
  readonly #configuration: Configuration
  readonly #tells: boolean
  #closed = false

  static {
    handleOf = memory => memory.#handle
    tellsTools = memory => memory.#tells
  }

  /** @internal */
  protected constructor(key: typeof construct, handle: NativeHandle) {
    checkConstruct(key, 'MemoryHandle', 'new CodeMemory()')
    markAsUncloneable(this)
    this.#handle = handle
    this.#configuration = native.configuration(handle)
    const { sealing, tools } = this.#configuration
    if (sealing) freeze(sealing)
    freeze(tools)
    this.#tells = tools.perf || tools.jitdump || tools.gdb
  }

  /** Bytes of address space that one block reserves. */
  get blockSize(): number {
    return this.#configuration.blockSize
  }

  /** What the code assumes about distances. */
  get codeModel(): CodeModel {
    return this.#configuration.codeModel
  }

  /** How far a reference may span, in bytes; `Infinity` if it does not matter. */
  get reach(): number {
    return this.#configuration.reach
  }

  /** How far a branch may span, in bytes, which is less than `reach` on 64-bit Arm; what is farther away takes a stub. */
  get branchReach(): number {
    return this.#configuration.branchReach
  }

  /** How code is written. */
  get writer(): Writer {
    return this.#configuration.writer
  }

  /** Where constants go. */
  get constants(): Constants {
    return this.#configuration.constants
  }

  /** What becomes of freed memory before it is used again. */
  get quarantine(): Quarantine {
    return this.#configuration.quarantine
  }

  /** Bytes that may be committed at most; `undefined` if only the system limits them. */
  get maxCommitted(): number | undefined {
    return this.#configuration.maxCommitted
  }

  /** Mappings that there may be at most; `undefined` if only the system limits them. */
  get maxMappings(): number | undefined {
    return this.#configuration.maxMappings
  }

  /** Whether nothing in flight can be executed, and no address exists at which published constants can be written. */
  get hardened(): boolean {
    return this.#configuration.hardened
  }

  /** Whether pages without access lie between code, constants and data, and at both ends of each block. */
  get guardPages(): boolean {
    return this.#configuration.guardPages
  }

  /** Whether code is guarded: an indirect branch that arrives at anything but a landing pad ends the process. */
  get branchProtection(): boolean {
    return this.#configuration.branchProtection
  }

  /** What only the memory itself can still do to its code; `undefined` if that was not asked for. */
  get sealing(): Sealing | undefined {
    return this.#configuration.sealing
  }

  /** Which debuggers and profilers are told of its code. */
  get tools(): Tools {
    return this.#configuration.tools
  }

  /**
   * Gives back to the system what is kept for the next allocation: blocks of which nothing is used, and the writable side of
   * published code. The next allocation takes a little longer.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_CLOSED`.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory()
   * memory.allocate({ text: { protection: 'rx', size: 64 } }).abandon()
   * memory.trim()
   * memory.stats().reservedBytes // 0
   * ```
   */
  trim(): void {
    native.trim(this.#handle)
  }

  /**
   * What an address lies in: whose code a program counter or a return address is in, say.
   *
   * Any address of an allocation or image will do that is neither freed nor given up, made in any thread; with the option
   * `quarantine: 'intact'`, of what is freed as well until its grace period ends, because a thread may still run it. It takes no
   * lock, so it waits for no other thread. While that very allocation is made or freed, either answer may come.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_CLOSED`. `TypeError` with `ERR_INVALID_ARG_TYPE` or `RangeError` with
   * `ERR_OUT_OF_RANGE` for what is no address.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory()
   * const { text } = memory.allocate({ text: { protection: 'rx', size: 100 } }).finalize()
   * memory.find(text.address + 50n) // { address: text.address, size: 112, protection: 'rx' }
   * memory.find(0n) // undefined
   * ```
   */
  find(address: AddressLike): Found | undefined {
    found[0] = toAddress(address, 'address')
    if (!native.find(this.#handle, found)) return undefined
    return { address: found[0], size: toNumber(found[1]), protection: protectionAt(found[2]) }
  }

  /**
   * What an address of this memory is, by name: see {@link lookup}, which asks the whole process. `undefined` for all that lies elsewhere.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_CLOSED`. `TypeError` with `ERR_INVALID_ARG_TYPE` or `RangeError` with
   * `ERR_OUT_OF_RANGE` for what is no address.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory()
   * const bytes = Uint8Array.of(0x8d, 0x04, 0x37, 0xc3) // lea eax, [rdi + rsi]; ret
   * const { text } = memory.allocate({ text: { protection: 'rx', bytes, name: 'add' } }).finalize()
   * memory.lookup(text.address + 3n) // { origin: 'placed', name: 'add', offset: 3, size: 4, … }
   * ```
   */
  lookup(address: AddressLike): Location | undefined {
    return native.lookup(this.#handle, toAddress(address, 'address')) ?? undefined
  }

  /**
   * A copy of bytes at any address. What is not mapped is an error and ends no process.
   *
   * @param address - Where they begin.
   * @param length - How many they are.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_UNMAPPED` if they are not all mapped.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * declare const header: bigint // what a native function returned
   * const bytes = new CodeMemory().readAt(header, 16)
   * ```
   */
  readAt(address: AddressLike, length: number): Uint8Array {
    handleOf(this)
    return readAt(address, length)
  }

  /**
   * The C string at an address: the text in UTF-8 up to the first zero byte.
   *
   * @param address - Where it begins.
   * @param maxLength - How many bytes it may have. Default: 65536.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_UNMAPPED` if it leads to what is not mapped, `ERR_CODESLAB_OUT_OF_BOUNDS` if it is longer.
   * @example
   * ```ts
   * import { CodeMemory, type Image } from 'codeslab'
   *
   * declare const image: Image
   * const version = image.function('zlibVersion', { return: 'pointer' })
   * new CodeMemory().stringAt(version()) // '1.3.1'
   * ```
   */
  stringAt(address: AddressLike, maxLength = 65536): string {
    handleOf(this)
    return stringAt(address, maxLength)
  }

  /**
   * Begins a grace period for everything that was freed until now. With the option `quarantine`, none of it is used again before
   * {@link CodeMemory.endGracePeriod}.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_CLOSED`.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory({ quarantine: 'intact' })
   * const allocation = memory.allocate({ text: { protection: 'rx', size: 64 } }).finalize()
   * allocation.free() // No JavaScript calls it any more, but native code may still be in it.
   * const period = memory.beginGracePeriod()
   * memory.stats().quarantinedBytes // 64
   * // … once all native code has been where it is in no such code …
   * memory.endGracePeriod(period)
   * memory.stats().quarantinedBytes // 0
   * ```
   */
  beginGracePeriod(): GracePeriod {
    return native.beginGracePeriod(this.#handle)
  }

  /**
   * Ends a grace period, and all that began before it: every thread that may have been in what was freed by then has left it
   * since. Its space is used again.
   *
   * @param period - What {@link CodeMemory.beginGracePeriod} gave, in any thread that has this memory open.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_CLOSED`. `TypeError` with `ERR_INVALID_ARG_TYPE` for what is no bigint,
   * `RangeError` with `ERR_OUT_OF_RANGE` for one that this memory has not given yet.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory({ quarantine: 'trapping' })
   * memory.endGracePeriod(memory.beginGracePeriod())
   * ```
   */
  endGracePeriod(period: GracePeriod): void {
    if (typeof (period as unknown) !== 'bigint') throw invalidType('period', 'a bigint', period)
    if (!native.endGracePeriod(this.#handle, period)) throw outOfRange('period', 'what beginGracePeriod() gave', period)
  }

  /**
   * What it holds now, allocated by any thread.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_CLOSED`.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * new CodeMemory().stats().live // 0
   * ```
   */
  stats(): MemoryStats {
    return native.stats(this.#handle)
  }

  /**
   * Its blocks, slabs and spans, to be drawn or searched.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_CLOSED`.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const { blocks } = new CodeMemory().layout()
   * ```
   */
  layout(): MemoryLayout {
    return { blocks: native.picture(this.#handle) }
  }

  /**
   * Closes this handle. Allocations and images that were made through it stay, and so do other handles; the memory goes with
   * the last of them. Doing it again does nothing.
   *
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory()
   * memory.dispose()
   * memory.stats() // throws
   * ```
   */
  dispose(): void {
    this.#closed = true
    native.closeMemory(this.#handle)
  }

  /** Closes this handle, as {@link CodeMemory.dispose} does. */
  [Symbol.dispose](): void {
    this.dispose()
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    const { blockSize, codeModel, writer, constants, quarantine, ...rest } = this.#configuration
    const { maxCommitted, maxMappings, sealing, hardened, guardPages, branchProtection, tools } = rest
    const limits = { maxCommitted, maxMappings }
    const safety = { sealing, hardened, guardPages, branchProtection }
    const configuration = { blockSize, codeModel, writer, constants, quarantine, ...limits, ...safety, tools }
    const state = this.#closed ? { closed: true } : this.stats()
    return describe('CodeMemory', { ...configuration, ...state }, depth, options)
  }
}

/**
 * The address that {@link CodeMemory.find} looks for, then what it lies in. One buffer for all calls of this thread: with a new
 * one for each, `find` took 2.6 times as long (Node 24, Linux x86-64, median of seven alternating runs).
 */
const found = makeWords(3)

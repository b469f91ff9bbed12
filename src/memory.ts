/** The memory manager. */

import { inspect, type InspectOptionsStylized } from 'node:util'
import * as native from '#native'
import {
  finalizeAll,
  makeInFlight,
  type InFlight,
  type InFlightAllocation,
  type Place,
  type PublishedBatch,
} from './allocation.ts'
import { makeImage, type Image } from './image.ts'
import { checkString, invalidType, outOfRange, toAddress } from './internal/checks.ts'
import { describe } from './internal/inspect.ts'
import { freeze, makeWords, sized, toNumber } from './internal/intrinsics.ts'
import { encodeLink } from './internal/link.ts'
import { encodeMemoryOptions } from './internal/options.ts'
import { protectionAt } from './internal/protection.ts'
import { exchange, toContents, toRequests, toWindows, type Request } from './internal/request.ts'
import type { LinkInput, LinkOptions } from './link.ts'
import type { CodeMemoryOptions } from './options.ts'
import type { Placement, SectionRequest } from './request.ts'
import type {
  Capabilities,
  CodeModel,
  Constants,
  Found,
  GracePeriod,
  MemoryLayout,
  MemoryStats,
  Quarantine,
  Sealing,
  SealStatus,
  Writer,
  WriterStatus,
} from './stats.ts'

type MemoryHandle = ReturnType<typeof native.openMemory>

type Configuration = ReturnType<typeof native.configuration>

/** The handle of a memory that exists, in the place of options. */
class Opened {
  readonly #handle: MemoryHandle

  constructor(handle: MemoryHandle) {
    this.#handle = handle
  }

  /** The handle in it; `undefined` for anything else. */
  static handleOf(value: unknown): MemoryHandle | undefined {
    return typeof value === 'object' && value !== null && #handle in value ? value.#handle : undefined
  }
}

/**
 * A manager of code memory: it places machine code, constants and data within reach of each other, publishes them under
 * W^X (see {@link Writer}), and takes them back.
 *
 * Nothing is reserved before the first allocation. A memory may be used from any thread: see {@link CodeMemory.share}.
 *
 * @example Linking an object file and calling it
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import { CodeMemory } from 'codeslab'
 *
 * const memory = new CodeMemory()
 * const image = memory.link(readFileSync('math.o'))
 * const add = image.function('add', { return: 'int32', arguments: ['int32', 'int32'] })
 * add(40, 2) // 42
 * image.free()
 * ```
 *
 * @example Placing bytes by hand
 * ```ts
 * import { CodeMemory } from 'codeslab'
 *
 * const memory = new CodeMemory()
 * const inFlight = memory.allocate({ text: { protection: 'rx', size: 4 } })
 * inFlight.text.write(Uint8Array.of(0x8d, 0x04, 0x37, 0xc3)) // lea eax, [rdi + rsi]; ret
 * const allocation = inFlight.finalize()
 * allocation.text.function({ return: 'int32', arguments: ['int32', 'int32'] })(40, 2) // 42
 * allocation.free()
 * ```
 *
 * @category Memory
 */
export class CodeMemory {
  readonly #handle: MemoryHandle
  readonly #configuration: Configuration
  #closed = false

  /**
   * Opens a memory of its own.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_INVALID_BLOCK_SIZE`, `ERR_CODESLAB_UNSUPPORTED_CODE_MODEL`,
   * `ERR_CODESLAB_WRITER_UNAVAILABLE`, `ERR_CODESLAB_INVALID_ENVIRONMENT` or `ERR_CODESLAB_UNSUPPORTED_PLATFORM`. `TypeError`
   * with `ERR_INVALID_ARG_TYPE` for options of a wrong type, or `ERR_INVALID_ARG_VALUE` for options that there are not.
   * `RangeError` with `ERR_OUT_OF_RANGE` for a limit that is not a safe integer above zero.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory({ blockSize: 2 ** 20 })
   * memory.writer // 'dual-mapping'
   * ```
   */
  constructor(options: CodeMemoryOptions = {}) {
    this.#handle = Opened.handleOf(options) ?? native.openMemory(encodeMemoryOptions(options))
    this.#configuration = native.configuration(this.#handle)
    if (this.#configuration.sealing) freeze(this.#configuration.sealing)
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

  /** What only the memory itself can still do to its code; `undefined` if that was not asked for. */
  get sealing(): Sealing | undefined {
    return this.#configuration.sealing
  }

  /**
   * Opens the memory that another thread of this process shared with {@link CodeMemory.share}. Both are handles to one
   * memory: what one allocates shows in the stats of the other.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_UNKNOWN_TOKEN` if the token stands for no memory, or for one that is gone.
   * @example
   * ```ts
   * import { workerData } from 'node:worker_threads'
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = CodeMemory.open(workerData.memory)
   * ```
   */
  static open(token: string): CodeMemory {
    checkString(token, 'token')
    return new CodeMemory(new Opened(native.openSharedMemory(token)) as CodeMemoryOptions)
  }

  /**
   * What this process can do, with the reason for what it cannot.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_UNSUPPORTED_PLATFORM`.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * CodeMemory.capabilities().architecture // 'x86_64'
   * ```
   */
  static capabilities(): Capabilities {
    const { writers, sealing, codeModels, ...rest } = native.capabilities()
    return {
      ...rest,
      writers: writers.map(({ writer, unavailable }): WriterStatus => {
        return { writer, ...toStatus(unavailable) }
      }),
      sealing: { writes: toStatus(sealing.writesUnavailable), mappings: toStatus(sealing.mappingsUnavailable) },
      codeModels,
    }
  }

  /**
   * Places sections: all of them within reach of each other, or none.
   *
   * @param sections - What to place, by name. The names become properties of the result.
   * @param placement - Where it has to lie.
   * @returns The allocation in flight: writable, with its final addresses, and not yet executable.
   * @throws {@link CodeslabError} with
   * - `ERR_CODESLAB_INVALID_SIZE`, `ERR_CODESLAB_INVALID_ALIGNMENT` or `ERR_CODESLAB_INVALID_SECTION_NAME` for a section,
   *   `ERR_CODESLAB_EMPTY_REQUEST` for none;
   * - `ERR_CODESLAB_OUT_OF_BOUNDS` if `bytes` do not fit into `size`;
   * - `ERR_CODESLAB_TOO_LARGE`, `ERR_CODESLAB_CONFLICTING_WINDOWS` or `ERR_CODESLAB_OUT_OF_REACH` if there cannot be such a
   *   place, or none is free;
   * - the code of the limit that the system met, such as `ERR_CODESLAB_TOO_MANY_MAPPINGS`;
   * - `ERR_CODESLAB_COMMIT_BUDGET` or `ERR_CODESLAB_MAPPING_BUDGET` if it would take more than this memory may have;
   * - `ERR_CODESLAB_CLOSED` if this handle was disposed of.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const inFlight = new CodeMemory().allocate({
   *   text: { protection: 'rx', size: 64 },
   *   table: { protection: 'ro', bytes: Float64Array.of(0.5, 0.25) },
   *   state: { protection: 'rw', size: 4096 }, // zero-filled, costs nothing until it is touched
   * })
   * const distance = inFlight.table.address - inFlight.text.address // fits 32 bits
   * ```
   */
  allocate<Names extends string>(
    sections: Readonly<Record<Names, SectionRequest>>,
    placement?: Placement,
  ): InFlight<Names> {
    const requests = toRequests(sections)
    const windows = toWindows(placement, this.#configuration.reach)
    // From here on no code of users runs.
    const contents = toContents(requests)
    const words = exchange(requests)
    const handle = native.allocate(this.#handle, contents, windows, words)
    return makeInFlight(handle, toPlaces(requests, words)) as InFlight<Names>
  }

  /**
   * Publishes many allocations at once: as {@link InFlightAllocation.finalize} for each, but all processors are made to notice
   * once and not every time.
   *
   * @param batch - Allocations in flight, each of them once.
   * @returns The published allocations in the same order.
   * @throws {@link CodeslabError} with
   * - `ERR_CODESLAB_FINALIZED` or `ERR_CODESLAB_ABANDONED` if one is not in flight any more. The others stay as they are then;
   * - the code of the limit that the system met. All of them are abandoned then;
   * - `ERR_CODESLAB_CLOSED` if this handle was disposed of.
   *
   * `TypeError` with `ERR_INVALID_ARG_TYPE` for something else than allocations in flight, or `ERR_INVALID_ARG_VALUE` if one is
   * there twice.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory()
   * const place = (...code: number[]) => memory.allocate({ text: { protection: 'rx', bytes: Uint8Array.from(code) } })
   * const [one, two] = memory.finalizeAll([
   *   place(0xb8, 1, 0, 0, 0, 0xc3), // mov eax, 1; ret
   *   place(0xb8, 2, 0, 0, 0, 0xc3), // mov eax, 2; ret
   * ])
   * one.text.function({ return: 'int32' })() + two.text.function({ return: 'int32' })() // 3
   * ```
   */
  finalizeAll<const Batch extends readonly InFlightAllocation<never>[]>(batch: Batch): PublishedBatch<Batch> {
    return finalizeAll(this.#handle, batch) as PublishedBatch<Batch>
  }

  /**
   * Links object files, archives and graphs into executable memory.
   *
   * All inputs become one image: symbols are resolved between them, relocations applied, and everything is placed such that
   * each reference reaches what it refers to, that is near itself and near the externals that the code refers to directly.
   *
   * @param inputs - What to link. An archive is linked whole, unless `roots` are given.
   * @param options - Where symbols come from.
   * @throws {@link CodeslabError} with
   * - `ERR_CODESLAB_UNKNOWN_FORMAT`, `ERR_CODESLAB_MALFORMED`, `ERR_CODESLAB_THIN_ARCHIVE`, `ERR_CODESLAB_NOT_RELOCATABLE`,
   *   `ERR_CODESLAB_WRONG_ARCHITECTURE` or `ERR_CODESLAB_INVALID_INDEX` for an input that is not what it should be;
   * - `ERR_CODESLAB_WORK_BUDGET` for one that would take more work or memory than files of its size ever need;
   * - `ERR_CODESLAB_INVALID_GRAPH` for a graph that contradicts itself;
   * - `ERR_CODESLAB_UNSUPPORTED`, `ERR_CODESLAB_UNKNOWN_RELOCATION`, `ERR_CODESLAB_WRITABLE_CODE` or
   *   `ERR_CODESLAB_DISCARDED_SECTION` for one that needs what the linker does not do;
   * - `ERR_CODESLAB_UNDEFINED_SYMBOL` or `ERR_CODESLAB_DUPLICATE_SYMBOL`;
   * - `ERR_CODESLAB_OUT_OF_REACH`, `ERR_CODESLAB_OVERFLOW` or `ERR_CODESLAB_CONFLICTING_SYMBOLS` if something cannot be reached;
   * - everything that {@link CodeMemory.allocate} throws.
   *
   * Each of them leaves no memory behind.
   * @example
   * ```ts
   * import { readFileSync } from 'node:fs'
   * import { CodeMemory } from 'codeslab'
   *
   * const image = new CodeMemory().link([readFileSync('main.o'), readFileSync('util.o')], {
   *   externals: { log_line: 0x7f0000001000n },
   *   libraries: [readFileSync('libz.a')],
   * })
   * ```
   */
  link(inputs: LinkInput | readonly LinkInput[], options: LinkOptions = {}): Image {
    const { inputs: read, options: known } = encodeLink(inputs, options)
    return makeImage(native.link(this.#handle, read, known))
  }

  /**
   * A token with which any thread of this process can {@link CodeMemory.open} the same memory, while any handle to it is
   * open.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_CLOSED`.
   * @example
   * ```ts
   * import { Worker } from 'node:worker_threads'
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory()
   * new Worker('./worker.js', { workerData: { memory: memory.share() } })
   * ```
   */
  share(): string {
    return native.shareMemory(this.#handle)
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
  find(address: bigint | number): Found | undefined {
    found[0] = toAddress(address, 'address')
    if (!native.find(this.#handle, found)) return undefined
    return { address: found[0], size: toNumber(found[1]), protection: protectionAt(found[2]) }
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
    const { maxCommitted, maxMappings, sealing, hardened, guardPages } = rest
    const limits = { maxCommitted, maxMappings }
    const safety = { sealing, hardened, guardPages }
    const configuration = { blockSize, codeModel, writer, constants, quarantine, ...limits, ...safety }
    const state = this.#closed ? { closed: true } : this.stats()
    return describe('CodeMemory', { ...configuration, ...state }, depth, options)
  }
}

/**
 * The address that {@link CodeMemory.find} looks for, then what it lies in. One buffer for all calls of this thread: with a new
 * one for each, `find` took 2.6 times as long (Node 24, Linux x86-64, median of seven alternating runs).
 */
const found = makeWords(3)

/** Whether something works, by the reason why not. */
function toStatus(reason: string | undefined): SealStatus {
  return reason === undefined ? { available: true } : { available: false, reason }
}

/** Where the sections of requests are, by the words that native code has written. */
function toPlaces(requests: readonly Request[], words: BigUint64Array): Place[] {
  const places = sized<Place | undefined>(requests.length, undefined) as Place[]
  for (let index = 0; index < requests.length; index++) {
    const { name, size, protection } = requests[index] as Request
    places[index] = { name, address: words[index] ?? 0n, size, protection }
  }
  return places
}

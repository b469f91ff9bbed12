/** The memory manager. */

import { inspect, type InspectOptionsStylized } from 'node:util'
import * as native from '#native'
import { InFlightAllocation, type InFlight } from './allocation.ts'
import { checkNumber, checkObject, checkString, choose, isCount } from './checks.ts'
import { construct } from './construct.ts'
import { CodeslabError } from './errors.ts'
import { Image } from './image.ts'
import { describe } from './inspect.ts'
import { encodeInputs, encodeOptions, type LinkInput, type LinkOptions } from './link.ts'
import { exchange, toRequests, toWindows, type Placement, type SectionRequest } from './request.ts'
import type { Capabilities, CodeModel, Constants, MemoryLayout, MemoryStats, Writer, WriterStatus } from './stats.ts'

type MemoryHandle = ReturnType<typeof native.openMemory>

/**
 * What a memory is opened with. Everything has a default.
 *
 * @example
 * ```ts
 * import { CodeMemory, type CodeMemoryOptions } from 'codeslab'
 *
 * const options: CodeMemoryOptions = { blockSize: 64 * 2 ** 20, writer: 'dual-mapping' }
 * const memory = new CodeMemory(options)
 * ```
 *
 * @category Memory
 */
export interface CodeMemoryOptions {
  /**
   * Bytes of address space that one block reserves: a power of two, from four pages to the reach of the code model. Default:
   * 2 to the power of the environment variable `CODESLAB_BLOCK_SIZE`, else 16 MiB.
   */
  readonly blockSize?: number | undefined
  /** What the code assumes about distances. Default: `'small'`, as compilers do. */
  readonly codeModel?: CodeModel | undefined
  /** How code is written. Default: `'auto'`, which means the environment variable `CODESLAB_WRITER`, else the first that works. */
  readonly writer?: Writer | 'auto' | undefined
  /** Where constants go. Default: `'separate'`. */
  readonly constants?: Constants | undefined
}

/** The handle of a memory that exists, in the place of options. */
class Opened {
  readonly handle: MemoryHandle

  constructor(handle: MemoryHandle) {
    this.handle = handle
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
  #closed = false

  /** Bytes of address space that one block reserves. */
  readonly blockSize: number
  /** What the code assumes about distances. */
  readonly codeModel: CodeModel
  /** How far a reference may span, in bytes; `Infinity` if it does not matter. */
  readonly reach: number
  /** How code is written. */
  readonly writer: Writer
  /** Where constants go. */
  readonly constants: Constants

  /**
   * Opens a memory of its own.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_INVALID_BLOCK_SIZE`, `ERR_CODESLAB_UNSUPPORTED_CODE_MODEL`,
   * `ERR_CODESLAB_WRITER_UNAVAILABLE`, `ERR_CODESLAB_INVALID_ENVIRONMENT` or `ERR_CODESLAB_UNSUPPORTED_PLATFORM`. `TypeError`
   * with `ERR_INVALID_ARG_TYPE` for options of a wrong type.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory({ blockSize: 2 ** 20 })
   * memory.writer // 'dual-mapping'
   * ```
   */
  constructor(options: CodeMemoryOptions = {}) {
    this.#handle = options instanceof Opened ? options.handle : open(options)
    const resolved = native.configuration(this.#handle)
    this.blockSize = resolved.blockSize
    this.codeModel = resolved.codeModel as CodeModel
    this.reach = resolved.reach
    this.writer = resolved.writer as Writer
    this.constants = resolved.constants as Constants
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
    const { writers, ...rest } = native.capabilities()
    const statuses = writers.map(({ writer, unavailable }): WriterStatus => {
      const available = unavailable === undefined
      return { writer: writer as Writer, available, ...(available ? {} : { reason: unavailable }) }
    })
    return { ...(rest as Omit<Capabilities, 'writers'>), writers: statuses }
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
    const windows = toWindows(placement, this.reach)
    const contents = requests.map(({ bytes }) => bytes)
    const words = exchange(requests)
    const handle = native.allocate(this.#handle, contents, windows, words)
    const places = requests.map(({ name, size, protection }, index) => ({
      name,
      address: words[index] ?? 0n,
      size,
      protection,
    }))
    return InFlightAllocation[construct](handle, places) as InFlight<Names>
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
   * - `ERR_CODESLAB_INVALID_GRAPH` for a graph that contradicts itself;
   * - `ERR_CODESLAB_UNSUPPORTED`, `ERR_CODESLAB_UNKNOWN_RELOCATION`, `ERR_CODESLAB_WRITABLE_CODE` or
   *   `ERR_CODESLAB_DISCARDED_SECTION` for one that needs what the linker does not do;
   * - `ERR_CODESLAB_UNDEFINED_SYMBOL` or `ERR_CODESLAB_DUPLICATE_SYMBOL`;
   * - `ERR_CODESLAB_OUT_OF_REACH`, `ERR_CODESLAB_OVERFLOW` or `ERR_CODESLAB_CONFLICTING_SYMBOLS` if something cannot be reached;
   * - everything that {@link CodeMemory.allocate} throws.
   *
   * Whatever it is, no memory is kept.
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
    return Image[construct](native.link(this.#handle, encodeInputs(inputs, 'input'), encodeOptions(options)))
  }

  /**
   * A token with which any thread of this process can {@link CodeMemory.open} the same memory, while somebody holds it.
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
   * What it holds now, whichever thread allocated it.
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
    return { blocks: native.picture(this.#handle) as MemoryLayout['blocks'] }
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
    const { blockSize, codeModel, writer, constants } = this
    const configuration = { blockSize, codeModel, writer, constants }
    const state = this.#closed ? { closed: true } : this.stats()
    return describe('CodeMemory', { ...configuration, ...state }, depth, options)
  }
}

/** Whether constants go with the code. */
const placements = new Map<unknown, boolean>([
  [undefined, false],
  ['separate', false],
  ['with-code', true],
])

function open(options: CodeMemoryOptions): MemoryHandle {
  checkObject(options, 'options')
  const { blockSize, codeModel, writer, constants } = options
  if (codeModel !== undefined) checkString(codeModel, 'codeModel')
  if (writer !== undefined) checkString(writer, 'writer')
  const withCode = choose(constants, 'constants', placements)
  return native.openMemory(checkBlockSize(blockSize), codeModel, writer === 'auto' ? undefined : writer, withCode)
}

function checkBlockSize(size: unknown): number | undefined {
  if (size === undefined) return undefined
  checkNumber(size, 'blockSize')
  if (isCount(size)) return size
  const message = `block size ${String(size)} is not a power of two`
  throw new CodeslabError('ERR_CODESLAB_INVALID_BLOCK_SIZE', message, { size })
}

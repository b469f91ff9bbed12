/** What memories and processes say about themselves. */

import type { Protection } from './protection.ts'

/**
 * How bytes get into pages that are executable. With each of them, no thread can write to an address at which code can be
 * executed; with `'pkeys'` and `'map-jit'`, except a thread that is copying code, for the time of its copy.
 *
 * - `'dual-mapping'`: two views of one memory file, an executable one and a writable one elsewhere. The fastest.
 * - `'file-write'`: writes to the memory file behind the executable view; no writable view exists. The hardened choice.
 * - `'protect'`: private pages that are made executable before anything on them is published.
 * - `'self-mem'`: writes to `/proc/self/mem`, which kernels are closing.
 * - `'pkeys'`: private pages under a memory protection key, which lets no thread write but one that is copying code. Needs a
 *   processor with such keys. All threads can execute the code, but not all can read it as data, so it does not go with
 *   `constants: 'with-code'`.
 * - `'map-jit'`: memory of `MAP_JIT`, which a thread may write while it is switched to writing, for the time of a copy. macOS, where a
 *   process with a hardened runtime needs the entitlement `com.apple.security.cs.allow-jit`.
 *
 * @example
 * ```ts
 * import { CodeMemory, type Writer } from 'codeslab'
 *
 * const hardened: Writer = 'file-write'
 * const works = CodeMemory.capabilities().writers.some(({ writer, available }) => writer === hardened && available)
 * const memory = new CodeMemory(works ? { writer: hardened } : {})
 * ```
 *
 * @category Memory
 */
export type Writer = 'dual-mapping' | 'file-write' | 'protect' | 'self-mem' | 'pkeys' | 'map-jit'

/**
 * What code assumes about the distance between itself, its callees, its constants and its data: on x86-64 ±2 GiB for
 * `'small'`, which is what compilers do unless they are told otherwise, the same for the code of `'medium'`, and nothing for
 * `'large'`.
 *
 * @example
 * ```ts
 * import { CodeMemory } from 'codeslab'
 *
 * new CodeMemory({ codeModel: 'small' }).reach // 2147418112
 * ```
 *
 * @category Memory
 */
export type CodeModel = 'tiny' | 'small' | 'medium' | 'large'

/**
 * Where constants go: `'separate'` keeps them on pages of their own, which are not executable; `'with-code'` puts them
 * between the code, which takes fewer pages and lets constants be executed (not with the writer `'pkeys'`).
 *
 * @example
 * ```ts
 * import { CodeMemory } from 'codeslab'
 *
 * const compact = new CodeMemory({ constants: 'with-code' })
 * ```
 *
 * @category Memory
 */
export type Constants = 'separate' | 'with-code'

/**
 * What becomes of freed memory before it is used again. JavaScript functions throw once their code is freed, and code that
 * they are running is freed when they return, so this is for those that codeslab does not see: native code that keeps an address of
 * code, or runs in threads of its own.
 *
 * - `'off'`: it may be used again at once.
 * - `'trapping'`: code traps at once, and its place is not used again before {@link CodeMemory.endGracePeriod}: who still calls it does
 *   not end up in other code.
 * - `'intact'`: it stays as it is until then: threads may still be in it.
 *
 * @example
 * ```ts
 * import { CodeMemory } from 'codeslab'
 *
 * const memory = new CodeMemory({ quarantine: 'intact' })
 * ```
 *
 * @category Memory
 */
export type Quarantine = 'off' | 'trapping' | 'intact'

/**
 * Which debuggers and profilers a memory tells of its code: see {@link CodeMemoryOptions.perf}, {@link CodeMemoryOptions.jitdump} and
 * {@link CodeMemoryOptions.gdb}.
 *
 * @example
 * ```ts
 * import { CodeMemory, type Tools } from 'codeslab'
 *
 * const tools: Tools = new CodeMemory({ gdb: true }).tools
 * tools.gdb // true
 * ```
 *
 * @category Memory
 */
export interface Tools {
  /** Functions go into the perf map of the process. */
  readonly perf: boolean
  /** Functions, their code and their lines go into a jitdump file. */
  readonly jitdump: boolean
  /** Debuggers get symbol files. */
  readonly gdb: boolean
}

/**
 * What the option `sealed` has made impossible for all code of the process, until it ends.
 *
 * @example
 * ```ts
 * import { CodeMemory } from 'codeslab'
 *
 * const memory = new CodeMemory({ writer: 'dual-mapping', sealed: true })
 * if (!memory.sealing?.mappings) console.warn('code can be unmapped here')
 * ```
 *
 * @category Memory
 */
export interface Sealing {
  /**
   * That any code of the process writes to published code otherwise than through the one view that there is. With the
   * writer `'file-write'` it is false: there is no view, and calls that write go on working.
   */
  readonly writes: boolean
  /** That any code of the process unmaps or replaces published code, or changes what it may be used for. Linux 6.10. */
  readonly mappings: boolean
}

/**
 * A moment in the life of a memory: what {@link CodeMemory.beginGracePeriod} gives. It is a number, so it can be sent to another thread,
 * and a later one is greater.
 *
 * @example
 * ```ts
 * import { CodeMemory, type GracePeriod } from 'codeslab'
 *
 * const memory = new CodeMemory({ quarantine: 'trapping' })
 * const period: GracePeriod = memory.beginGracePeriod()
 * ```
 *
 * @category Memory
 */
export type GracePeriod = bigint

/**
 * What an address lies in: all sections of one allocation or image that have one protection.
 *
 * @example
 * ```ts
 * import { CodeMemory, type Found } from 'codeslab'
 *
 * const memory = new CodeMemory()
 * const isCode = (found: Found | undefined): boolean => found?.protection === 'rx'
 * isCode(memory.find(0x7f00_0000_1000n))
 * ```
 *
 * @category Introspection
 */
export interface Found {
  /** Where the first of these sections begins. */
  readonly address: bigint
  /** How many bytes they have together, rounding included. */
  readonly size: number
  /** What they may be used for. Constants that lie with code are code. */
  readonly protection: Protection
}

/**
 * What a memory holds, in one instant.
 *
 * @example
 * ```ts
 * import { CodeMemory } from 'codeslab'
 *
 * const { usedBytes, committedBytes } = new CodeMemory().stats()
 * ```
 *
 * @category Introspection
 */
export interface MemoryStats {
  /** Blocks that exist. */
  readonly blocks: number
  /** Clusters: groups of blocks that all reach each other. */
  readonly clusters: number
  /** Bytes of address space reserved from the system. */
  readonly reservedBytes: number
  /** Bytes of it that can hold something. */
  readonly committedBytes: number
  /** Bytes of it that in-flight and published allocations occupy, alignment included. */
  readonly usedBytes: number
  /** Bytes that are freed and wait for the end of their grace period: see {@link CodeMemory.endGracePeriod}. */
  readonly quarantinedBytes: number
  /** Mappings that the system keeps for this memory, writable views included. */
  readonly mappings: number
  /** Allocations that are being written. */
  readonly inFlight: number
  /** Allocations and images that are published. */
  readonly live: number
  /** Bytes of metadata, outside of the managed memory. */
  readonly metadataBytes: number
}

/**
 * A memory, to be drawn.
 *
 * @example
 * ```ts
 * import { CodeMemory } from 'codeslab'
 *
 * for (const block of new CodeMemory().layout().blocks) {
 *   for (const slab of block.slabs) console.log(slab.protection, slab.address.toString(16), slab.spans.length)
 * }
 * ```
 *
 * @category Introspection
 */
export interface MemoryLayout {
  /** Its blocks, by ascending address. */
  readonly blocks: readonly BlockLayout[]
}

/**
 * A block: address space in which every address reaches every other.
 *
 * @example
 * ```ts
 * import type { BlockLayout } from 'codeslab'
 *
 * const end = (block: BlockLayout): bigint => block.address + BigInt(block.size)
 * ```
 *
 * @category Introspection
 */
export interface BlockLayout {
  /** Where it begins. */
  readonly address: bigint
  /** Bytes of address space. */
  readonly size: number
  /** Which cluster it belongs to. */
  readonly cluster: number
  /** Its slabs, by ascending address; what lies between them is reserved only. */
  readonly slabs: readonly SlabLayout[]
}

/**
 * A slab: a run of pages of a block, with one protection.
 *
 * @example
 * ```ts
 * import type { SlabLayout } from 'codeslab'
 *
 * const used = (slab: SlabLayout): number => slab.spans.reduce((sum, span) => sum + span.size, 0)
 * ```
 *
 * @category Introspection
 */
export interface SlabLayout {
  /** Where it begins. */
  readonly address: bigint
  /** Bytes, a multiple of the page size. */
  readonly size: number
  /** What it may be used for. */
  readonly protection: Protection
  /** What is carved from it, by ascending address; what lies between is free. */
  readonly spans: readonly SpanLayout[]
}

/**
 * A span: bytes of a slab that an allocation or image occupies.
 *
 * @example
 * ```ts
 * import type { SpanLayout } from 'codeslab'
 *
 * const contains = (span: SpanLayout, address: bigint): boolean =>
 *   address >= span.address && address < span.address + BigInt(span.size)
 * ```
 *
 * @category Introspection
 */
export interface SpanLayout {
  /** Where it begins. */
  readonly address: bigint
  /** Bytes, rounding included. */
  readonly size: number
}

/**
 * What this process can do.
 *
 * @example
 * ```ts
 * import { CodeMemory } from 'codeslab'
 *
 * for (const { writer, available, reason } of CodeMemory.capabilities().writers) {
 *   console.log(writer, available ? 'works' : reason)
 * }
 * ```
 *
 * @category Introspection
 */
export interface Capabilities {
  /** What the process executes, such as `'x86_64'`. */
  readonly architecture: string
  /** The operating system, such as `'linux'`. */
  readonly operatingSystem: string
  /** Bytes of a page. */
  readonly pageSize: number
  /** The alignment of reserved address space, in bytes. */
  readonly granularity: number
  /** Every writer, in the order in which they are tried. */
  readonly writers: readonly WriterStatus[]
  /** What the option `sealed` can do. */
  readonly sealing: SealingStatus
  /** The code models of the architecture. */
  readonly codeModels: readonly CodeModelReach[]
}

/**
 * Whether a writer works here.
 *
 * @example
 * ```ts
 * import { CodeMemory, type WriterStatus } from 'codeslab'
 *
 * const first: WriterStatus | undefined = CodeMemory.capabilities().writers.find(({ available }) => available)
 * ```
 *
 * @category Introspection
 */
export interface WriterStatus {
  /** Which. */
  readonly writer: Writer
  /** Whether it works. */
  readonly available: boolean
  /** Why it does not. */
  readonly reason?: string
}

/**
 * What the option `sealed` can do here: see {@link Sealing}.
 *
 * @example
 * ```ts
 * import { CodeMemory, type SealingStatus } from 'codeslab'
 *
 * const { writes, mappings }: SealingStatus = CodeMemory.capabilities().sealing
 * ```
 *
 * @category Introspection
 */
export interface SealingStatus {
  /** Whether memory files can be closed to other writers. */
  readonly writes: SealStatus
  /** Whether mappings can be kept as they are. */
  readonly mappings: SealStatus
}

/**
 * Whether something can be sealed here.
 *
 * @example
 * ```ts
 * import { CodeMemory, type SealStatus } from 'codeslab'
 *
 * const { available, reason }: SealStatus = CodeMemory.capabilities().sealing.mappings
 * if (!available) console.log(reason)
 * ```
 *
 * @category Introspection
 */
export interface SealStatus {
  /** Whether it can. */
  readonly available: boolean
  /** Why it cannot. */
  readonly reason?: string
}

/**
 * How far the references of a code model span.
 *
 * @example
 * ```ts
 * import { CodeMemory, type CodeModelReach } from 'codeslab'
 *
 * const models: readonly CodeModelReach[] = CodeMemory.capabilities().codeModels
 * ```
 *
 * @category Introspection
 */
export interface CodeModelReach {
  /** Which. */
  readonly codeModel: CodeModel
  /** The distance that its shortest reference spans in either direction, in bytes; `Infinity` if it does not matter. */
  readonly reach: number
}

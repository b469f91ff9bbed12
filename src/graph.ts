/** Graphs: what an assembler or compiler written in JavaScript hands to the linker. */

import type { Protection } from './protection.ts'

/**
 * Sections, symbols and relocations: an object file that never was a file.
 *
 * @example Linking a graph
 * ```ts
 * import { CodeMemory, type Graph } from 'codeslab'
 *
 * // mov eax, [rip + answer]; ret
 * const graph: Graph = {
 *   name: 'answer.s',
 *   sections: [
 *     {
 *       name: '.text',
 *       protection: 'rx',
 *       bytes: Uint8Array.of(0x8b, 0x05, 0, 0, 0, 0, 0xc3),
 *       relocations: [{ offset: 2, type: 'R_X86_64_PC32', symbol: 'answer', addend: -4 }],
 *     },
 *     { name: '.rodata', protection: 'ro', align: 4, bytes: Uint8Array.of(42, 0, 0, 0) },
 *   ],
 *   symbols: [
 *     { name: 'main', section: '.text' },
 *     { name: 'answer', section: '.rodata', binding: 'local' },
 *   ],
 * }
 * const image = new CodeMemory().link(graph)
 * image.function('main', { return: 'int32' })() // 42
 * ```
 *
 * @category Linking
 */
export interface Graph {
  /** What errors call it. */
  readonly name?: string
  /** Its sections. Each name occurs once. */
  readonly sections: readonly GraphSection[]
  /** The symbols that it defines. Each name occurs once; names that only relocations mention are externals. */
  readonly symbols?: readonly GraphSymbol[]
}

/**
 * A section of a {@link Graph}: bytes, or a number of zero bytes.
 *
 * @example
 * ```ts
 * import type { GraphSection } from 'codeslab'
 *
 * const state: GraphSection = { name: '.bss', protection: 'rw', align: 8, size: 4096 }
 * ```
 *
 * @category Linking
 */
export interface GraphSection {
  /** What symbols and errors call it. */
  readonly name: string
  /** What it may be used for. */
  readonly protection: Protection
  /** Its alignment in bytes, a power of two. Default: 16. */
  readonly align?: number
  /** Its content. */
  readonly bytes?: ArrayBufferView | ArrayBuffer
  /** Instead of content: how many zero bytes it has. */
  readonly size?: number
  /** The fields in it that depend on where things are placed. */
  readonly relocations?: readonly GraphRelocation[]
}

/**
 * A symbol that a {@link Graph} defines: a place in a section, or a fixed address.
 *
 * @example
 * ```ts
 * import type { GraphSymbol } from 'codeslab'
 *
 * const symbols: GraphSymbol[] = [
 *   { name: 'main', section: '.text', offset: 16, size: 40 },
 *   { name: 'port', address: 0x3f8n, binding: 'local' },
 * ]
 * ```
 *
 * @category Linking
 */
export interface GraphSymbol {
  /** Its name. */
  readonly name: string
  /** The section that it lies in. */
  readonly section?: string
  /** Bytes from the start of the section. Default: 0. */
  readonly offset?: number
  /** Instead of a section: its address. */
  readonly address?: bigint | number
  /** How many bytes it has. Default: 0, which means unknown. */
  readonly size?: number
  /** Who sees it: every input (`'global'`), every input but giving way to a global one (`'weak'`), or this graph only. Default: `'global'`. */
  readonly binding?: 'global' | 'weak' | 'local'
}

/**
 * A field that the linker fills when it knows the addresses.
 *
 * @example
 * ```ts
 * import type { GraphRelocation } from 'codeslab'
 *
 * const call: GraphRelocation = { offset: 1, type: 'R_X86_64_PLT32', symbol: 'puts', addend: -4 }
 * ```
 *
 * @category Linking
 */
export interface GraphRelocation {
  /** Bytes from the start of the section. */
  readonly offset: number
  /** Its type, by name. */
  readonly type: RelocationType
  /** The symbol that it refers to, or a section, which stands for its start. What the graph does not define is an external. */
  readonly symbol: string
  /** What is added to the symbol's address. Default: 0; a PC-relative field usually needs -4. */
  readonly addend?: number | bigint
}

/**
 * The name of a relocation type: for ELF as in the psABI of the machine, for COFF as in Microsoft's "PE Format", for Mach-O as in Apple's headers.
 * All types of a machine can be used on every system, and in one graph.
 *
 * Linking with a name that is unknown, or of another machine, fails with `ERR_CODESLAB_UNKNOWN_RELOCATION`.
 *
 * @example
 * ```ts
 * import type { RelocationType } from 'codeslab'
 *
 * const type: RelocationType = 'R_X86_64_PC32'
 * ```
 *
 * @category Linking
 */
export type RelocationType =
  | `R_X86_64_${string}`
  | `R_AARCH64_${string}`
  | `IMAGE_REL_AMD64_${string}`
  | `R_AMD64_${string}`
  | `X86_64_RELOC_${string}`
  | `ARM64_RELOC_${string}`

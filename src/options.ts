/** What a memory is opened with. */

import type { CodeModel, Constants, Quarantine, Writer } from './stats.ts'

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
  /** What becomes of freed memory before it is used again. Default: `'off'`. */
  readonly quarantine?: Quarantine | undefined
  /**
   * Bytes that may be committed at most, as {@link MemoryStats.committedBytes} counts them. What would need more is refused
   * with `ERR_CODESLAB_COMMIT_BUDGET` before the system is asked. Default: as many as the system gives.
   */
  readonly maxCommitted?: number | undefined
  /**
   * Mappings that there may be at most, as {@link MemoryStats.mappings} counts them. What would need more is refused with
   * `ERR_CODESLAB_MAPPING_BUDGET`. A process has only so many (`vm.max_map_count`), and all else that it does fails when they
   * are used up. Default: as many as the system gives.
   */
  readonly maxMappings?: number | undefined
  /**
   * Whether only the memory itself can write and map its code from now on, as far as the system can enforce that: for programs
   * in which an attacker might get to make system calls. {@link CodeMemory.sealing} tells what came of it.
   *
   * The writers `'dual-mapping'` and `'file-write'` can be sealed, the others cannot. What is sealed is used again, but stays
   * until the process ends, with its address space. Default: false.
   */
  readonly sealed?: boolean | undefined
  /**
   * Whether the writable view of the writer `'dual-mapping'` shows code only, and only what is published. What is in flight is
   * written elsewhere then and copied when it is published, and constants are written by a call.
   *
   * With `false` everything is written in its place: that saves the copy and the call, and code in flight runs if something jumps
   * there, and a stray store into the view changes constants. The other writers are always hardened. Default: true.
   */
  readonly hardened?: boolean | undefined
  /**
   * Whether pages that nothing can read, write or execute lie at both ends of each block, and between its code, constants and
   * data, so that what overruns them faults instead of reaching others. They lie there however much these grow; between two
   * allocations of the same protection there is none. It costs two mappings for each block, and four for a full one. Default: false.
   */
  readonly guardPages?: boolean | undefined
  /**
   * Whether code is guarded where processor and system can do that ({@link CodeMemory.branchProtection} tells whether they do): an
   * indirect branch that arrives at anything but a landing pad ends the process (SIGILL). That is BTI of 64-bit Arm; elsewhere nothing is different.
   * Objects then have to be compiled with `-mbranch-protection=bti` or `standard`; what you place yourself begins with `bti c` where it
   * is called through a pointer. Default: false.
   */
  readonly branchProtection?: boolean | undefined
  /**
   * Whether functions go into the perf map of the process, `/tmp/perf-PID.map`, by which `perf report` names them. perf reads it for
   * code that lies in no file, so the writer is `'self-mem'` or `'protect'` then, unless one is chosen. Default: the environment variable
   * `CODESLAB_PERF` (`1` or `0`), else true if `perf` started this process.
   */
  readonly perf?: boolean | undefined
  /**
   * Whether functions, with their code and the lines that it came from, go into a jitdump file, `jit-PID.dump` in the folder that the
   * environment variable `JITDUMPDIR` names, else in the current one. It works with every writer: `perf record -k mono`, then
   * `perf inject --jit`. Default: the environment variable `CODESLAB_JITDUMP` (`1` or `0`), else false.
   */
  readonly jitdump?: boolean | undefined
  /**
   * Whether debuggers that know GDB's interface for just-in-time compilers (gdb, lldb) are told of functions and, for objects, of lines,
   * variables and frames. They cannot put breakpoints into memory files that are closed to writing, so the writer is `'self-mem'` or
   * `'protect'` then, unless one is chosen. Default: the environment variable `CODESLAB_GDB` (`1` or `0`), else true if a debugger is attached when the memory
   * is opened.
   */
  readonly gdb?: boolean | undefined
}

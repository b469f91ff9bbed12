/** What is thrown. */

import { inspect, type InspectOptions } from 'node:util'
import { isMainThread } from 'node:worker_threads'
import { install } from '#native'
import type { CompilerDiagnostic } from './cc.ts'
import { hexadecimal } from './internal/inspect.ts'
import { assign } from './internal/intrinsics.ts'
import { installRefusal } from './internal/refusal.ts'

/**
 * The codes of {@link CodeslabError}. They do not change between versions; new ones may come.
 *
 * Three of them are for others than Linux users of Node: `ERR_CODESLAB_UNSUPPORTED_PLATFORM` comes where there is no port,
 * `ERR_CODESLAB_NO_VIEWS` in runtimes like Electron, and `ERR_CODESLAB_FORKED` in a process that was forked without a program of its own,
 * in which V8 does not run.
 *
 * @example
 * ```ts
 * import { CodeslabError, type CodeslabErrorCode } from 'codeslab'
 *
 * const retryable: CodeslabErrorCode[] = ['ERR_CODESLAB_OUT_OF_MEMORY', 'ERR_CODESLAB_TOO_MANY_MAPPINGS']
 * const worthAnotherTry = (error: unknown) => error instanceof CodeslabError && retryable.includes(error.code)
 * ```
 *
 * @category Errors
 */
export type CodeslabErrorCode =
  /** An in-flight allocation was used after it was abandoned. */
  | 'ERR_CODESLAB_ABANDONED'
  /** The address space limit of the process (RLIMIT_AS) is met. */
  | 'ERR_CODESLAB_ADDRESS_SPACE_LIMIT'
  /** Another thread called a callback while this one was in native code all the time. */
  | 'ERR_CODESLAB_CALLBACK_BLOCKED'
  /** A handle to a memory was used after it was disposed of. */
  | 'ERR_CODESLAB_CLOSED'
  /** A compiler refuses a program (`memory.cc`). */
  | 'ERR_CODESLAB_COMPILER'
  /** The memory may not commit that many bytes (option `maxCommitted`). */
  | 'ERR_CODESLAB_COMMIT_BUDGET'
  /** No place reaches two symbols that the code refers to directly. */
  | 'ERR_CODESLAB_CONFLICTING_SYMBOLS'
  /** No address lies in all windows of a placement. */
  | 'ERR_CODESLAB_CONFLICTING_WINDOWS'
  /** A relocation refers to a section that is not loaded. */
  | 'ERR_CODESLAB_DISCARDED_SECTION'
  /** A callback was disposed of before. */
  | 'ERR_CODESLAB_DISPOSED'
  /** Two inputs define the same symbol. */
  | 'ERR_CODESLAB_DUPLICATE_SYMBOL'
  /** The dynamic linker cannot be asked about thread-local variables. */
  | 'ERR_CODESLAB_DYNAMIC_LINKER'
  /** A request for no bytes at all. */
  | 'ERR_CODESLAB_EMPTY_REQUEST'
  /** Linked code threw an exception (C++) that it did not catch: a function that was called, or a constructor while it was linked. */
  | 'ERR_CODESLAB_EXCEPTION'
  /** The file size limit of the process (RLIMIT_FSIZE) is met. */
  | 'ERR_CODESLAB_FILE_SIZE_LIMIT'
  /** An in-flight allocation was used after it was finalized. */
  | 'ERR_CODESLAB_FINALIZED'
  /** A security policy forbids executable memory. */
  | 'ERR_CODESLAB_FORBIDDEN'
  /** The memory belongs to the parent process. */
  | 'ERR_CODESLAB_FORKED'
  /** An allocation or image was used after it was freed. */
  | 'ERR_CODESLAB_FREED'
  /** An alignment is no power of two, or larger than a block allows. */
  | 'ERR_CODESLAB_INVALID_ALIGNMENT'
  /** A block size is no power of two, below four pages, or above the reach. */
  | 'ERR_CODESLAB_INVALID_BLOCK_SIZE'
  /** CODESLAB_BLOCK_SIZE or CODESLAB_WRITER holds something it may not. */
  | 'ERR_CODESLAB_INVALID_ENVIRONMENT'
  /** What a symbol is to be assigned (option `defsym`) is no expression. */
  | 'ERR_CODESLAB_INVALID_EXPRESSION'
  /** A graph contradicts itself. */
  | 'ERR_CODESLAB_INVALID_GRAPH'
  /** An object refers to a section or symbol that it does not have. */
  | 'ERR_CODESLAB_INVALID_INDEX'
  /** A section has a name that an allocation needs for itself. */
  | 'ERR_CODESLAB_INVALID_SECTION_NAME'
  /** A signature names an unknown type, or has more arguments than a call can pass. */
  | 'ERR_CODESLAB_INVALID_SIGNATURE'
  /** A size is zero, negative or fractional. */
  | 'ERR_CODESLAB_INVALID_SIZE'
  /** A shared library cannot be opened. */
  | 'ERR_CODESLAB_LIBRARY_UNAVAILABLE'
  /** An object or archive contradicts itself or ends too early. */
  | 'ERR_CODESLAB_MALFORMED'
  /** The memory may not have that many mappings (option `maxMappings`). */
  | 'ERR_CODESLAB_MAPPING_BUDGET'
  /** Something to be read or written is code, or has no memory. */
  | 'ERR_CODESLAB_NOT_DATA'
  /** Something to be called is not code. */
  | 'ERR_CODESLAB_NOT_EXECUTABLE'
  /** A file is an executable, a shared library or a core dump. */
  | 'ERR_CODESLAB_NOT_RELOCATABLE'
  /** A function that was not linked to be replaced. */
  | 'ERR_CODESLAB_NOT_REPLACEABLE'
  /** Something to be written is constant. */
  | 'ERR_CODESLAB_NOT_WRITABLE'
  /** Native code cannot call JavaScript here: there are no closures for this processor, or no code memory for them. */
  | 'ERR_CODESLAB_NO_CALLBACKS'
  /** There is no C compiler (`memory.cc`). */
  | 'ERR_CODESLAB_NO_COMPILER'
  /** This runtime has no buffers of native memory, so there are no live views. */
  | 'ERR_CODESLAB_NO_VIEWS'
  /** A write, symbol or relocation lies outside of its section. */
  | 'ERR_CODESLAB_OUT_OF_BOUNDS'
  /** The system has no memory left. */
  | 'ERR_CODESLAB_OUT_OF_MEMORY'
  /** Something is too far away, or there is no free address space within reach. */
  | 'ERR_CODESLAB_OUT_OF_REACH'
  /** A value does not fit the field that a relocation fills. */
  | 'ERR_CODESLAB_OVERFLOW'
  /** There is no more room for thread-local variables of code without `-fPIC`. */
  | 'ERR_CODESLAB_STATIC_THREAD_LOCAL'
  /** The system refused without a reason that is known. */
  | 'ERR_CODESLAB_SYSTEM'
  /** A thread-local variable is used like any other, or something else as one. */
  | 'ERR_CODESLAB_THREAD_LOCAL_ACCESS'
  /** A file for debuggers or profilers cannot be written (options `perf` and `jitdump`). */
  | 'ERR_CODESLAB_TOOL_FILE'
  /** More bytes than one block can hold. */
  | 'ERR_CODESLAB_TOO_LARGE'
  /** No file descriptor is left (RLIMIT_NOFILE). */
  | 'ERR_CODESLAB_TOO_MANY_FILES'
  /** The process has as many mappings as it may (vm.max_map_count). */
  | 'ERR_CODESLAB_TOO_MANY_MAPPINGS'
  /** A symbol is defined nowhere. */
  | 'ERR_CODESLAB_UNDEFINED_SYMBOL'
  /** An input is neither an object nor an archive. */
  | 'ERR_CODESLAB_UNKNOWN_FORMAT'
  /** A relocation is of a type that the linker does not know. */
  | 'ERR_CODESLAB_UNKNOWN_RELOCATION'
  /** An image has no symbol of that name. */
  | 'ERR_CODESLAB_UNKNOWN_SYMBOL'
  /** A token stands for nothing in this process, or not any more. */
  | 'ERR_CODESLAB_UNKNOWN_TOKEN'
  /** A file that an input names cannot be read. */
  | 'ERR_CODESLAB_UNREADABLE'
  /** Nothing is mapped at an address that was to be read. */
  | 'ERR_CODESLAB_UNMAPPED'
  /** An object needs something that the linker cannot do yet. */
  | 'ERR_CODESLAB_UNSUPPORTED'
  /** The architecture has no such code model. */
  | 'ERR_CODESLAB_UNSUPPORTED_CODE_MODEL'
  /** There is no port to this system or architecture. */
  | 'ERR_CODESLAB_UNSUPPORTED_PLATFORM'
  /** An input would take more work or memory than files of its size ever need. */
  | 'ERR_CODESLAB_WORK_BUDGET'
  /** A section is both writable and executable. */
  | 'ERR_CODESLAB_WRITABLE_CODE'
  /** A writer does not exist or does not work here. */
  | 'ERR_CODESLAB_WRITER_UNAVAILABLE'
  /** An object is made for another machine. */
  | 'ERR_CODESLAB_WRONG_ARCHITECTURE'

/**
 * A fact of an error. Counts and offsets are numbers where a number holds them exactly and bigints beyond; addresses are
 * always bigints.
 *
 * @example
 * ```ts
 * import { CodeslabError, type Fact } from 'codeslab'
 *
 * const facts = (error: CodeslabError): [string, Fact][] => Object.entries(error)
 * ```
 *
 * @category Errors
 */
export type Fact = string | number | bigint | readonly string[]

/**
 * What codeslab refuses, with the reason as a code and its facts as properties.
 *
 * Which facts there are depends on the code; those that are not listed here are in the message. Arguments of a wrong
 * JavaScript type are not this error but a `TypeError` with the code `ERR_INVALID_ARG_TYPE`, as everywhere in Node, and
 * numbers that the type does not have a `RangeError` with the code `ERR_OUT_OF_RANGE`.
 *
 * Nothing of what was refused is left behind, and the memory goes on working.
 *
 * @example
 * ```ts
 * import { CodeMemory, CodeslabError } from 'codeslab'
 *
 * const memory = new CodeMemory()
 * try {
 *   memory.link({ name: 'noise.o', bytes: Buffer.from('not an object file') })
 * } catch (error) {
 *   if (!(error instanceof CodeslabError)) throw error
 *   error.code // 'ERR_CODESLAB_UNKNOWN_FORMAT'
 *   error.object // 'noise.o'
 * }
 * ```
 *
 * @category Errors
 */
export class CodeslabError extends Error {
  static {
    this.prototype.name = 'CodeslabError'
  }

  /** What was refused. */
  readonly code: CodeslabErrorCode
  /** The symbol that it is about. */
  declare readonly symbol?: string
  /** All symbols that it is about, such as those that nothing defines. */
  declare readonly symbols?: readonly string[]
  /** For each of `symbols`, the first object that needs it; empty for one that was asked for. */
  declare readonly neededBy?: readonly string[]
  /** Libraries that usually have some of `symbols`. */
  declare readonly libraries?: readonly string[]
  /** Why each of several objects is refused. */
  declare readonly refusals?: readonly string[]
  /** Symbols that need none of the refused objects: what `roots` can be. */
  declare readonly roots?: readonly string[]
  /** The input, or `archive(member)`. */
  declare readonly object?: string
  /** The section that it is about. */
  declare readonly section?: string
  /** Bytes from the start of the section. */
  declare readonly offset?: number | bigint
  /** How many bytes a write or a field has. */
  declare readonly length?: number | bigint
  /** The type of a relocation by its psABI name. */
  declare readonly relocation?: string
  /** Where a symbol is. */
  declare readonly address?: bigint
  /** How far apart two things are, or how far a reference would have to reach, in bytes. */
  declare readonly distance?: number | bigint
  /** The greatest value that is possible, or the name of the system's limit that was met. */
  declare readonly limit?: Fact
  /** A number of bytes that was asked for. */
  declare readonly size?: number | bigint
  /** An alignment that was asked for. */
  declare readonly align?: number | bigint
  /** The system call that failed. */
  declare readonly syscall?: string
  /** What it answered. */
  declare readonly errno?: number
  /** More about why, in words. */
  declare readonly reason?: string
  /** Symbols that may have been meant, the likeliest first. */
  declare readonly candidates?: readonly string[]
  /** What a compiler has to say of a program, with lines. */
  declare readonly diagnostics?: readonly CompilerDiagnostic[]
  /** All that it printed. */
  declare readonly output?: string

  /** @internal */
  constructor(code: CodeslabErrorCode, message: string, facts: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.code = code
    assign(this, facts)
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptions): string {
    const facts = Object.entries(this).map(([name, value]) => [name, hexadecimal(value)])
    const stack = this.stack ?? `${this.name}: ${this.message}`
    return depth < 0 ? `[${this.name}: ${this.message}]` : `${stack} ${inspect(Object.fromEntries(facts), options)}`
  }
}

/** What native code refuses becomes one of these right there, so that it is thrown from where it happened. */
function fromNative(
  code: string,
  message: string,
  names: string[],
  values: (string | number | bigint | string[])[],
  cause: unknown,
): Error {
  const error = code === 'OUT_OF_RANGE' ? outOfRange(message) : refused(code, message, names, values)
  if (cause !== null) error.cause = cause
  Error.captureStackTrace(error, fromNative)
  return error
}

/** A number that JavaScript has and the argument does not, as everywhere in Node. */
function outOfRange(message: string): Error {
  return assign(new RangeError(message), { code: 'ERR_OUT_OF_RANGE' })
}

function refused(code: string, message: string, names: string[], values: unknown[]): CodeslabError {
  const facts: Record<string, unknown> = {}
  for (let index = 0; index < names.length; index++) facts[names[index] as string] = values[index]
  return new CodeslabError(`ERR_CODESLAB_${code}` as CodeslabErrorCode, message, facts)
}

install(fromNative, isMainThread)
installRefusal((code, message, facts) => new CodeslabError(code, message, facts))

/** Compiling C: what `CodeMemory.cc` takes, and what a compiler says. */

import type { LinkOptions } from './link.ts'

/**
 * What {@link CodeMemory.cc} compiles, how, and how it is linked.
 *
 * @example
 * ```ts
 * import type { CompileOptions } from 'codeslab'
 *
 * const options: CompileOptions = { file: 'src/filter.c', flags: ['-O3', '-march=native', '-Iinclude'] }
 * ```
 *
 * @category Linking
 */
export interface CompileOptions extends LinkOptions {
  /** The program as text. Either this or `file`. */
  readonly source?: string | undefined
  /** The path of a file with the program. */
  readonly file?: string | undefined
  /** What errors and debuggers call `source`. Default: `'source.c'`. */
  readonly name?: string | undefined
  /** The language as the compiler calls it (`-x`). Default: `'c'`, or what the name of the file says. */
  readonly language?: 'c' | 'c++' | 'assembler' | 'assembler-with-cpp' | undefined
  /** What else the compiler is told, after `-O2 -fPIC`. It makes one object, so flags that say otherwise are refused. */
  readonly flags?: readonly string[] | undefined
  /** The compiler. Default: the environment variable `CC`, else the first of `cc`, `gcc` and `clang` that is there. */
  readonly compiler?: string | undefined
  /** The folder in which it runs, to which paths in `flags` and `#include "…"` of `source` relate. Default: the current one. */
  readonly directory?: string | undefined
  /** Stops the compiler, and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Is told of each warning. Default: `process.emitWarning`, with the type `CompilerWarning`. */
  readonly onWarning?: ((warning: CompilerDiagnostic) => void) | undefined
}

/**
 * Something that a compiler has to say.
 *
 * @example
 * ```ts
 * import type { CompilerDiagnostic } from 'codeslab'
 *
 * const show = ({ file, line, message }: CompilerDiagnostic) => `${file}:${line}: ${message}`
 * ```
 *
 * @category Linking
 */
export interface CompilerDiagnostic {
  /** How bad it is. */
  readonly kind: 'error' | 'warning' | 'note'
  /** The file, as the compiler calls it. */
  readonly file: string
  /** The line, from 1. */
  readonly line: number
  /** The column in bytes, from 1; 0 where the compiler says none. */
  readonly column: number
  /** What it says. */
  readonly message: string
}

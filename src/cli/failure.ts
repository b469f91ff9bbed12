/** What a command ends with when it cannot do what it was asked: one line for what is wrong, one for what to do next, and a status. */

import { CodeslabError, type CodeslabErrorCode } from '../../index.ts'

/** With what a process ends: part of the interface, so these numbers stay. */
export const statuses = { success: 0, refused: 1, usage: 2 } as const

/** A mistake in the command itself. */
export class UsageError extends Error {
  static {
    this.prototype.name = 'UsageError'
  }

  /** What to do next. */
  readonly next: string

  constructor(message: string, next: string) {
    super(message)
    this.next = next
  }
}

/** What to do about an error whose message does not say so itself. */
const advice: Partial<Record<CodeslabErrorCode, string>> = {
  ERR_CODESLAB_UNDEFINED_SYMBOL:
    'add the object or archive that defines it, --library NAME for a shared library, or --external NAME=ADDRESS',
  ERR_CODESLAB_DUPLICATE_SYMBOL:
    'leave one of the two out, or give an archive as --library, of which only what is missing is linked',
  ERR_CODESLAB_UNKNOWN_SYMBOL: '`codeslab inspect` lists what the file defines',
  ERR_CODESLAB_UNKNOWN_FORMAT: 'pass objects (cc -c) and archives (ar rcs)',
  ERR_CODESLAB_NOT_RELOCATABLE: 'pass a shared library as --library PATH, and objects (cc -c) as files',
  ERR_CODESLAB_MALFORMED: 'make the file again; if `ld -r` takes it, that is a bug here, which we want to hear of',
  ERR_CODESLAB_UNSUPPORTED:
    '`codeslab inspect` names all objects that ask for it; --root NAME leaves out members of archives that are not needed',
  ERR_CODESLAB_OUT_OF_REACH: 'compile with -fPIC, whose code reaches data everywhere',
  ERR_CODESLAB_WRONG_ARCHITECTURE: 'compile for this machine',
  ERR_CODESLAB_NOT_EXECUTABLE: 'call a function; `codeslab inspect` tells functions and variables apart',
  ERR_CODESLAB_EXCEPTION: 'the code threw; catch it there, or call it with other arguments',
  ERR_CODESLAB_INVALID_SIGNATURE:
    "`codeslab run --help` lists types; they are written as in --call 'double f((float) 1)'",
  ERR_CODESLAB_UNSUPPORTED_PLATFORM: '`codeslab doctor` says what this system can do',
  ERR_CODESLAB_WRITER_UNAVAILABLE: '`codeslab doctor` says which writers work here, and why others do not',
  ERR_CODESLAB_FORBIDDEN: '`codeslab doctor` says which writers work here, and why others do not',
}

/** What went wrong in which code; everything else is a bug, and shown as such. */
export interface Told {
  readonly status: number
  readonly code: string | undefined
  readonly message: string
  readonly next: string | undefined
}

/** What to tell of an error; `undefined` if it is none that a user can do something about. */
export function tell(error: unknown): Told | undefined {
  if (error instanceof UsageError) {
    return { status: statuses.usage, code: undefined, message: error.message, next: error.next }
  }
  if (!(error instanceof Error)) return undefined
  const { code } = error as { code?: unknown }
  if (typeof code !== 'string') return undefined
  const { message } = error
  const next = error instanceof CodeslabError ? advice[error.code] : undefined
  return { status: statuses.refused, code, message, next }
}

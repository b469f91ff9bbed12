/**
 * How what lies in `internal` refuses a value with a {@link CodeslabError}.
 *
 * That class is public, so it lies above, and only its type is known here. `errors.ts` says how one is made when it is loaded,
 * as it says to native code; every public module that checks anything loads it first. The checks and the encoders use this.
 */

import type { CodeslabError, CodeslabErrorCode } from '../errors.ts'

/** Makes an error from its code, its message and its facts. */
export type MakeError = (
  code: CodeslabErrorCode,
  message: string,
  facts: Readonly<Record<string, unknown>>,
) => CodeslabError

let makeError: MakeError | undefined

/** Says how errors are made: once, by `errors.ts`. */
export function installRefusal(make: MakeError): void {
  makeError = make
}

/** The error to be thrown; its stack begins where this was called. */
export function refusal(
  code: CodeslabErrorCode,
  message: string,
  facts: Readonly<Record<string, unknown>>,
): CodeslabError {
  if (makeError === undefined) throw new Error(`errors.ts is not loaded, which makes ${code}: ${message}`)
  const error = makeError(code, message, facts)
  Error.captureStackTrace(error, refusal)
  return error
}

/**
 * Inputs that were parsed before. Their class is public, so it lies above; it says here how its handle is read when it is loaded.
 */

import type { parseInput } from '#native'

export type ParsedHandle = ReturnType<typeof parseInput>

/** Says what an object is, if it is a parsed input. */
export type ParsedReader = (value: object) => ParsedHandle | undefined

let readParsed: ParsedReader | undefined

/** Says how parsed inputs are read: once, by their module. */
export function installParsed(reader: ParsedReader): void {
  readParsed = reader
}

/** The handle of a value; `undefined` if it is no parsed input. */
export function asParsed(value: object): ParsedHandle | undefined {
  return readParsed?.(value)
}

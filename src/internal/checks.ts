/**
 * Checks of arguments, before native code sees them: Node-API coerces silently, which turns -1 into 4294967295.
 *
 * A wrong type is a `TypeError`, a number that the type does not have a `RangeError`. What is of the right type and still
 * makes no sense to codeslab is a `CodeslabError`, thrown by the encoder or the native code that has the rule. They use these checks,
 * and so do the public modules for their arguments.
 */

import { inspect } from 'node:util'
import { refusal } from './refusal.ts'

/** The greatest address. */
const LAST_ADDRESS = 2n ** 64n - 1n

/** A `TypeError` as Node throws it. */
export function invalidType(name: string, expected: string, actual: unknown): TypeError {
  return withCode(
    new TypeError(`${name} must be ${expected}; received ${inspect(actual, { depth: 0 })}`),
    'ERR_INVALID_ARG_TYPE',
  )
}

/** A `TypeError` for a value of the right type that is none of those possible. */
export function invalidValue(name: string, expected: string, actual: unknown): TypeError {
  return withCode(new TypeError(`${name} must be ${expected}; received ${inspect(actual)}`), 'ERR_INVALID_ARG_VALUE')
}

/** A `RangeError` as Node throws it. */
export function outOfRange(name: string, expected: string, actual: unknown): RangeError {
  return withCode(new RangeError(`${name} must be ${expected}; received ${inspect(actual)}`), 'ERR_OUT_OF_RANGE')
}

function withCode<E extends Error>(error: E, code: string): E {
  return Object.assign(error, { code })
}

/** An object that is neither null nor an array. */
export function checkObject(value: unknown, name: string): asserts value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidType(name, 'an object', value)
}

/** The properties of a type. TypeScript sees to it that none is missing, and that there is no other. */
export function names<T>(properties: Readonly<Record<keyof T, true>>): ReadonlySet<string> {
  return new Set(Object.keys(properties))
}

/** An object with no properties but these: one that is misspelt would be ignored otherwise. */
export function checkShape(value: unknown, name: string, known: ReadonlySet<string>): asserts value is object {
  checkObject(value, name)
  for (const key of Object.keys(value)) if (!known.has(key)) throw unknownKey(key, name, known)
}

function unknownKey(key: string, name: string, known: ReadonlySet<string>): TypeError {
  const message = `${name} cannot have a property ${inspect(key)}; it can have ${[...known].join(', ')}`
  return withCode(new TypeError(message), 'ERR_INVALID_ARG_VALUE')
}

/** A string. */
export function checkString(value: unknown, name: string): asserts value is string {
  if (typeof value !== 'string') throw invalidType(name, 'a string', value)
}

/** A boolean. */
export function checkBoolean(value: unknown, name: string): asserts value is boolean {
  if (typeof value !== 'boolean') throw invalidType(name, 'a boolean', value)
}

/** A number, of any value. */
export function checkNumber(value: unknown, name: string): asserts value is number {
  if (typeof value !== 'number') throw invalidType(name, 'a number', value)
}

/** An array of strings. */
export function checkStrings(value: unknown, name: string): asserts value is readonly string[] {
  if (!Array.isArray(value)) throw invalidType(name, 'an array of strings', value)
  value.forEach((item: unknown, index) => {
    checkString(item, `${name}[${String(index)}]`)
  })
}

/** One of the keys of a table, and what it stands for. */
export function choose<T>(value: unknown, name: string, choices: ReadonlyMap<unknown, T>): T {
  const chosen = choices.get(value)
  if (chosen !== undefined) return chosen
  const expected = [...choices.keys()].map(key => inspect(key)).join(' or ')
  throw typeof value === 'string' ? invalidValue(name, expected, value) : invalidType(name, expected, value)
}

/** Whether a number is one that counts bytes. */
export function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

/** A count or an offset: a whole number, zero included. */
export function toCount(value: unknown, name: string): number {
  checkNumber(value, name)
  if (!isCount(value)) throw outOfRange(name, 'a whole number that is not negative', value)
  return value
}

/** A limit: a whole number above zero, or none. */
export function toLimit(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined
  checkNumber(value, name)
  if (!isCount(value) || value === 0) throw outOfRange(name, 'a safe integer above zero', value)
  return value
}

/** An address: a bigint, or a number that is a safe integer. */
export function toAddress(value: unknown, name: string): bigint {
  if (typeof value === 'number') {
    if (!isCount(value)) throw outOfRange(name, 'a safe integer that is not negative', value)
    return BigInt(value)
  }
  if (typeof value !== 'bigint') throw invalidType(name, 'a bigint or a number', value)
  if (value < 0n || value > LAST_ADDRESS) throw outOfRange(name, 'from 0n to 2n ** 64n - 1n', value)
  return value
}

/** Bytes: any view of any buffer, or a whole buffer. What other threads can change is copied first. */
export function toBytes(value: unknown, name: string): Uint8Array {
  if (value instanceof Uint8Array) return steady(value)
  if (ArrayBuffer.isView(value)) return steady(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return steady(new Uint8Array(value))
  throw invalidType(name, 'a Buffer, a typed array, a DataView or an ArrayBuffer', value)
}

function steady(bytes: Uint8Array): Uint8Array {
  return bytes.buffer instanceof SharedArrayBuffer ? new Uint8Array(bytes) : bytes
}

/** The size of a section, which has at least one byte. */
export function toSize(value: unknown, section: string): number {
  checkNumber(value, `size of section ${section}`)
  if (isCount(value) && value > 0) return value
  const message = `size of section ${section} must be a whole number of bytes above zero; received ${String(value)}`
  throw refusal('ERR_CODESLAB_INVALID_SIZE', message, { section, size: value })
}

/** An alignment; whether it is a power of two is for native code to say. */
export function toAlign(value: unknown, section: string): number {
  checkNumber(value, `align of section ${section}`)
  if (isCount(value)) return value
  const message = `align of section ${section} must be a power of two; received ${String(value)}`
  throw refusal('ERR_CODESLAB_INVALID_ALIGNMENT', message, { section, align: value })
}

/**
 * Checks of arguments, before native code sees them: Node-API coerces silently, which turns -1 into 4294967295.
 *
 * Where a check is made for each of many small things, names for its errors are put together when there is an error: see {@link isShaped},
 * {@link asBytes} and {@link toItems}.
 *
 * A wrong type is a `TypeError`, a number that the type does not have a `RangeError`. What is of the right type and still
 * makes no sense to codeslab is a `CodeslabError`, thrown by the encoder or the native code that has the rule. They use these checks,
 * and so do the public modules for their arguments.
 */

import { inspect } from 'node:util'
import {
  assign,
  byteLength,
  get,
  has,
  isAnyArrayBuffer,
  isArray,
  isSafeInteger,
  isView,
  makeList,
  ownKeys,
  sized,
  toBigInt,
  toText,
  toUint8Array,
} from './intrinsics.ts'
import { addressed, asImage } from './address.ts'
import { refusal } from './refusal.ts'

/** The greatest address. */
const LAST_ADDRESS = 2n ** 64n - 1n

/** So many items are made room for before they are read. */
const FEW = 3

/** A `TypeError` as Node throws it. */
export function invalidType(name: string, expected: string, actual: unknown): TypeError {
  return withCode(new TypeError(`${name} must be ${expected}; received ${shown(actual)}`), 'ERR_INVALID_ARG_TYPE')
}

/** A `TypeError` for a value of the right type that is none of those possible. */
export function invalidValue(name: string, expected: string, actual: unknown): TypeError {
  return withCode(new TypeError(`${name} must be ${expected}; received ${shown(actual)}`), 'ERR_INVALID_ARG_VALUE')
}

/** A `RangeError` as Node throws it. */
export function outOfRange(name: string, expected: string, actual: unknown): RangeError {
  return withCode(new RangeError(`${name} must be ${expected}; received ${shown(actual)}`), 'ERR_OUT_OF_RANGE')
}

/** A value as `console.log` shows it, unless its own code keeps that from working. */
function shown(value: unknown): string {
  try {
    return inspect(value, { depth: 0, customInspect: false })
  } catch {
    return `a value of type ${typeof value}`
  }
}

function withCode<E extends Error>(error: E, code: string): E {
  return assign(error, { code })
}

/** An object that is neither null nor an array. */
export function checkObject(value: unknown, name: string): asserts value is object {
  if (typeof value !== 'object' || value === null || isArray(value)) throw invalidType(name, 'an object', value)
}

/** The properties that an object may have. Errors list them, so that is made up beforehand. */
export interface Names {
  readonly known: ReadonlySet<string>
  readonly list: string
}

/** The properties of a type. TypeScript sees to it that none is missing, and that there is no other. */
export function names<T>(properties: Readonly<Record<keyof T, true>>): Names {
  const all = Object.keys(properties)
  return { known: new Set(all), list: all.join(', ') }
}

/** An object with no properties but these: one that is misspelt would be ignored otherwise. */
export function checkShape(value: unknown, name: string, allowed: Names): asserts value is object {
  checkObject(value, name)
  const keys = ownKeys(value)
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index] as string
    if (!has(allowed.known, key)) throw unknownKey(key, name, allowed)
  }
}

/** Whether {@link checkShape} is sure to pass: it makes no list of the properties, and does not know which are inherited. */
export function isShaped(value: unknown, { known }: Names): boolean {
  if (typeof value !== 'object' || value === null || isArray(value)) return false
  for (const key in value) {
    if (!has(known, key)) return false
  }
  return true
}

function unknownKey(key: string, name: string, { list }: Names): TypeError {
  const message = `${name} cannot have a property ${shown(key)}; it can have ${list}`
  return withCode(new TypeError(message), 'ERR_INVALID_ARG_VALUE')
}

/** A string. */
export function checkString(value: unknown, name: string): asserts value is string {
  if (typeof value !== 'string') throw invalidType(name, 'a string', value)
}

/** A boolean. */
export function checkFunction(value: unknown, name: string): asserts value is (...values: never[]) => unknown {
  if (typeof value !== 'function') throw invalidType(name, 'a function', value)
}

/** Refuses what is no boolean. */
export function checkBoolean(value: unknown, name: string): asserts value is boolean {
  if (typeof value !== 'boolean') throw invalidType(name, 'a boolean', value)
}

/** A number, of any value. */
export function checkNumber(value: unknown, name: string): asserts value is number {
  if (typeof value !== 'number') throw invalidType(name, 'a number', value)
}

/** As {@link toItems}, each with its name. */
export function toList<Item>(
  value: unknown,
  name: string,
  expected: string,
  read: (item: unknown, name: string, index: number) => Item,
): Item[] {
  return toItems(value, name, expected, (item, index) => read(item, `${name}[${toText(index)}]`, index))
}

/**
 * The items of an array, each read once and in order. The length is read before them: what is missing then, or by then, is
 * `undefined`.
 */
export function toItems<Item>(
  value: unknown,
  name: string,
  expected: string,
  read: (item: unknown, index: number) => Item,
): Item[] {
  if (!isArray(value)) throw invalidType(name, expected, value)
  const items = value as readonly unknown[]
  const length: unknown = items.length
  // That of an array is a count; a proxy says what it likes.
  if (typeof length !== 'number' || !isCount(length)) throw invalidType(`length of ${name}`, 'a whole number', length)
  // Few may be as many as it says.
  const list = length <= FEW ? sized<Item>(length, undefined as Item) : makeList<Item>()
  for (let index = 0; index < length; index++) list[index] = read(items[index], index)
  return list
}

/** Values that an argument can have, with what each stands for. */
export interface Choices<T> {
  readonly table: ReadonlyMap<unknown, T>
  readonly expected: string
}

/** Choices, with the list of them for errors. */
export function choices<T>(entries: readonly (readonly [unknown, T])[]): Choices<T> {
  return { table: new Map(entries), expected: entries.map(([value]) => shown(value)).join(' or ') }
}

/** What a value stands for that is one of some choices. */
export function choose<T>(value: unknown, name: string, { table, expected }: Choices<T>): T {
  const chosen = get(table, value)
  if (chosen !== undefined) return chosen
  throw typeof value === 'string' ? invalidValue(name, expected, value) : invalidType(name, expected, value)
}

/** Whether a number is one that counts bytes. */
export function isCount(value: number): boolean {
  return isSafeInteger(value) && value >= 0
}

/** A count or an offset: a whole number, zero included. */
export function toCount(value: unknown, name: string): number {
  checkNumber(value, name)
  if (!isCount(value)) throw outOfRange(name, 'a whole number that is not negative', value)
  return value
}

/** An offset: that it is whole is checked here, and that there is such a byte by native code, which knows how many there are. */
export function toOffset(value: unknown): number {
  checkNumber(value, 'offset')
  if (!isSafeInteger(value)) throw outOfRange('offset', 'a whole number', value)
  return value
}

/** A limit: a whole number above zero, or none. */
export function toLimit(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined
  checkNumber(value, name)
  if (!isCount(value) || value === 0) throw outOfRange(name, 'a safe integer above zero', value)
  return value
}

/** An address: a bigint, a number that is a safe integer, or the address of what has one. */
export function toAddress(value: unknown, name: string): bigint {
  if (typeof value === 'number') {
    if (!isCount(value)) throw outOfRange(name, 'a safe integer that is not negative', value)
    return toBigInt(value)
  }
  if (typeof value !== 'bigint') return addressOf(value, name)
  if (value < 0n || value > LAST_ADDRESS) throw outOfRange(name, 'from 0n to 2n ** 64n - 1n', value)
  return value
}

/** The address of a section, a slot or a variable, or where a function says that its code is. */
function addressOf(value: unknown, name: string): bigint {
  const found = typeof value === 'function' ? (value as { pointer?: unknown }).pointer : addressed(value)?.address
  // What a function says is not asked further.
  if (typeof found === 'bigint') return toAddress(found, name)
  const expected = 'a bigint, a number, a section, a slot, or a function that has its address in pointer'
  const isImage = asImage(value) !== undefined
  throw invalidType(
    name,
    isImage ? "one address: of an image, that of a symbol, image.address('name')" : expected,
    value,
  )
}

/**
 * Bytes: any view of any buffer, or a whole buffer, of whichever realm, as native code takes them. Nothing is copied yet: see
 * {@link checkSteady}.
 */
export function toBytes(value: unknown, name: string): Uint8Array {
  if (!isView(value) && !isAnyArrayBuffer(value)) {
    throw invalidType(name, `a Buffer, a typed array, a DataView or an ArrayBuffer${bytesOf(value)}`, value)
  }
  try {
    return toUint8Array(value)
  } catch {
    throw unsteady(name, 'lie in a buffer that is detached or has become too short for them')
  }
}

/** What {@link toBytes} gives; `undefined` if it would throw. */
export function asBytes(value: unknown): Uint8Array | undefined {
  if (!isView(value) && !isAnyArrayBuffer(value)) return undefined
  try {
    return toUint8Array(value)
  } catch {
    return undefined
  }
}

/** How bytes are made of what people pass instead. */
function bytesOf(value: unknown): string {
  if (isArray(value)) return ': make one with Uint8Array.from(array)'
  if (typeof value === 'string') return ': make one with Buffer.from(text), or readFileSync(path) of a file'
  return addressed(value) === undefined ? '' : ': pass what its read() gives'
}

/**
 * Refuses bytes that are not as many any more as when they were read: a getter of another argument that was read since has
 * detached or resized their buffer.
 */
export function checkSteady(bytes: Uint8Array, length: number, name: string): void {
  if (byteLength(bytes) !== length) {
    throw unsteady(name, 'lie in a buffer that was detached or resized while the arguments were read')
  }
}

function unsteady(name: string, reason: string): TypeError {
  return withCode(new TypeError(`${name} ${reason}`), 'ERR_INVALID_ARG_VALUE')
}

/** The size of a section, which has at least one byte. */
export function toSize(value: unknown, section: string): number {
  if (typeof value === 'number' && isCount(value) && value > 0) return value
  checkNumber(value, `size of section ${section}`)
  const message = `size of section ${section} must be a whole number of bytes above zero; received ${toText(value)}`
  throw refusal('ERR_CODESLAB_INVALID_SIZE', message, { section, size: value })
}

/** An alignment; whether it is a power of two is for native code to say. */
export function toAlign(value: unknown, section: string): number {
  if (typeof value === 'number' && isCount(value)) return value
  checkNumber(value, `align of section ${section}`)
  const message = `align of section ${section} must be a power of two; received ${toText(value)}`
  throw refusal('ERR_CODESLAB_INVALID_ALIGNMENT', message, { section, align: value })
}

/**
 * What JavaScript itself offers, as it was when codeslab was loaded, and without what users can put in between.
 *
 * A property such as `bytes.length` is what a subclass, a proxy or a patched prototype says it is. The functions here ask the
 * values themselves: they are the getters and methods of the language, taken off their prototypes once. Lists are built
 * without iterators, species and setters. `checks` and the encoders use them for everything between reading the last value of
 * a user and calling native code. Native code relies on none of it.
 */

import { types } from 'node:util'

const { defineProperty, deleteProperty, getOwnPropertyDescriptor, getPrototypeOf, setPrototypeOf } = Reflect

export const { apply } = Reflect

/** `Function.prototype.call` of a function, whatever that property is later. */
const uncurry = (method: unknown): unknown =>
  apply(own(Function.prototype, 'bind').value as (this: unknown) => unknown, own(Function.prototype, 'call').value, [
    method,
  ])

/** A property of a prototype itself. */
function own(prototype: object, name: PropertyKey): { readonly get?: unknown; readonly value?: unknown } {
  return getOwnPropertyDescriptor(prototype, name) ?? {}
}

/** The getter of a property, as a function of the object. */
function getter(prototype: object, name: PropertyKey): unknown {
  return uncurry(own(prototype, name).get)
}

/** A method, as a function of the object and its arguments. */
function method(prototype: object, name: PropertyKey): unknown {
  return uncurry(own(prototype, name).value)
}

const typedArray = getPrototypeOf(Uint8Array.prototype) as object

/** Which class a typed array is of; `undefined` for anything else. */
const kindOf = getter(typedArray, Symbol.toStringTag) as (value: unknown) => string | undefined

/** The getters of views. */
interface Getters {
  readonly buffer: (view: ArrayBufferView) => ArrayBufferLike
  readonly byteOffset: (view: ArrayBufferView) => number
  readonly byteLength: (view: ArrayBufferView) => number
}

function gettersOf(prototype: object): Getters {
  return {
    buffer: getter(prototype, 'buffer') as Getters['buffer'],
    byteOffset: getter(prototype, 'byteOffset') as Getters['byteOffset'],
    byteLength: getter(prototype, 'byteLength') as Getters['byteLength'],
  }
}

const ofTypedArray = gettersOf(typedArray)
const ofDataView = gettersOf(DataView.prototype)
const lengthOfBuffer = getter(ArrayBuffer.prototype, 'byteLength') as (buffer: ArrayBuffer) => number
const lengthOfShared = getter(SharedArrayBuffer.prototype, 'byteLength') as (buffer: SharedArrayBuffer) => number
const at = method(typedArray, 'at') as (bytes: ArrayBufferView, index: number) => unknown
const setBytes = method(typedArray, 'set') as (bytes: Uint8Array, from: Uint8Array, at: number) => unknown

type Setter<Item> = (view: DataView, at: number, value: Item, isLittleEndian: boolean) => unknown
const setDouble = method(DataView.prototype, 'setFloat64') as Setter<number>
const setWord = method(DataView.prototype, 'setBigUint64') as Setter<bigint>

/** Whether this machine stores the lower bytes first. */
const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

const encoder = new TextEncoder()
const encode = method(TextEncoder.prototype, 'encode') as (of: typeof encoder, text: string) => Uint8Array

const decoder = new TextDecoder()
const decode = method(TextDecoder.prototype, 'decode') as (of: typeof decoder, bytes: Uint8Array) => string
const indexOf = method(typedArray, 'indexOf') as (bytes: Uint8Array, value: number) => number

const sliceText = method(String.prototype, 'slice') as (text: string, from: number, to: number) => string

type Visit = (value: unknown, key: unknown) => unknown
const mapForEach = method(Map.prototype, 'forEach') as (map: object, visit: Visit) => unknown
const mapGet = method(Map.prototype, 'get') as (map: object, key: unknown) => unknown
const mapSet = method(Map.prototype, 'set') as (map: object, key: unknown, value: unknown) => unknown
const setHas = method(Set.prototype, 'has') as (set: object, value: unknown) => boolean
const setAdd = method(Set.prototype, 'add') as (set: object, value: unknown) => unknown

const { isSharedArrayBuffer } = types
const Bytes = Uint8Array
const Words = BigUint64Array
const Doubles = Float64Array
const View = DataView

export const { isArray } = Array
export const { isSafeInteger } = Number
export const { keys: ownKeys, freeze, assign } = Object
export const { isAnyArrayBuffer, isMap } = types
type Cut = (bits: number, value: bigint) => bigint
export const asIntN = own(BigInt, 'asIntN').value as Cut
export const asUintN = own(BigInt, 'asUintN').value as Cut
export const toBigInt = BigInt
export const toNumber = Number
export const toText = String
export const isView: (value: unknown) => value is ArrayBufferView = own(ArrayBuffer, 'isView').value as typeof isView

/** How many bytes a view or buffer has. None if it was detached, or lies outside of a buffer that shrank. */
export function byteLength(bytes: ArrayBufferView | ArrayBufferLike): number {
  if (!isView(bytes)) return isSharedArrayBuffer(bytes) ? lengthOfShared(bytes) : lengthOfBuffer(bytes)
  return kindOf(bytes) === undefined ? ofDataView.byteLength(bytes) : ofTypedArray.byteLength(bytes)
}

/**
 * The bytes of a view or buffer as a `Uint8Array` of the same memory. Throws if there are none any more, because the buffer
 * was detached, or shrank so that the view lies outside of it.
 */
export function toUint8Array(bytes: ArrayBufferView | ArrayBufferLike): Uint8Array {
  if (!isView(bytes)) return new Bytes(bytes)
  const kind = kindOf(bytes)
  if (kind === undefined) {
    return new Bytes(ofDataView.buffer(bytes), ofDataView.byteOffset(bytes), ofDataView.byteLength(bytes))
  }
  const length = ofTypedArray.byteLength(bytes)
  // Methods of views without memory throw; properties say 0.
  if (length === 0) at(bytes, 0)
  if (kind === 'Uint8Array') return bytes as Uint8Array
  return new Bytes(ofTypedArray.buffer(bytes), ofTypedArray.byteOffset(bytes), length)
}

/** Copies bytes into others. */
export function copyBytes(from: Uint8Array, to: Uint8Array, at: number): void {
  setBytes(to, from, at)
}

/** What a map has for a key. */
export function get<Value>(map: ReadonlyMap<unknown, Value>, key: unknown): Value | undefined {
  return mapGet(map, key) as Value | undefined
}

/** Puts something into a map. */
export function set<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
  mapSet(map, key, value)
}

/** Whether something is in a set. */
export function has(set: ReadonlySet<unknown>, value: unknown): boolean {
  return setHas(set, value)
}

/** Puts something into a set. */
export function add<Value>(set: Set<Value>, value: Value): void {
  setAdd(set, value)
}

/**
 * An empty list without a prototype: one with `Array.prototype` would ask that for a setter whenever an item is added. It has
 * items and a length and nothing else.
 */
export function makeList<Item>(): Item[] {
  const list: Item[] = []
  setPrototypeOf(list, null)
  return list
}

/** Puts something at the end of a list of {@link makeList}. */
export function append<Item>(list: Item[], item: Item): void {
  list[list.length] = item
}

/** A list of so many items, which are all there already: assigning to them asks no prototype. */
export function sized<Item>(count: number, item: Item): Item[] {
  // Almost all lists are short, and literals are the fastest.
  if (count === 0) return []
  if (count === 1) return [item]
  if (count === 2) return [item, item]
  if (count === 3) return [item, item, item]
  const list = makeList<Item>()
  for (let index = 0; index < count; index++) append(list, item)
  return list
}

/** So many bytes, all zero. */
export function makeBytes(count: number): Uint8Array {
  return new Bytes(count)
}

/** The first bytes of others, which own their buffer. */
export function prefix(bytes: Uint8Array, count: number): Uint8Array {
  return new Bytes(ofTypedArray.buffer(bytes), 0, count)
}

/** Writes a double, little-endian, into bytes that own their buffer. */
export function writeDouble(bytes: Uint8Array, at: number, value: number): void {
  setDouble(new View(ofTypedArray.buffer(bytes)), at, value, true)
}

/** Writes 64 bits, little-endian, into bytes that own their buffer. */
export function writeWord(bytes: Uint8Array, at: number, value: bigint): void {
  setWord(new View(ofTypedArray.buffer(bytes)), at, value, true)
}

/** Numbers in the first bytes of others, which own their buffer, in the byte order of this machine. */
export interface Numbers {
  readonly getUnsigned: (width: 1 | 2 | 4) => number
  readonly setUnsigned: (width: 1 | 2 | 4, value: number) => void
  readonly getWord: () => bigint
  readonly setWord: (value: bigint) => void
  readonly getFloat: (width: 4 | 8) => number
  readonly setFloat: (width: 4 | 8, value: number) => void
}

type Get<Item> = (view: DataView, at: number, isLittleEndian: boolean) => Item
const getters = {
  unsigned: {
    1: method(DataView.prototype, 'getUint8') as Get<number>,
    2: method(DataView.prototype, 'getUint16') as Get<number>,
    4: method(DataView.prototype, 'getUint32') as Get<number>,
  },
  float: {
    4: method(DataView.prototype, 'getFloat32') as Get<number>,
    8: method(DataView.prototype, 'getFloat64') as Get<number>,
  },
  word: method(DataView.prototype, 'getBigUint64') as Get<bigint>,
}
const setters = {
  unsigned: {
    1: method(DataView.prototype, 'setUint8') as Setter<number>,
    2: method(DataView.prototype, 'setUint16') as Setter<number>,
    4: method(DataView.prototype, 'setUint32') as Setter<number>,
  },
  float: { 4: method(DataView.prototype, 'setFloat32') as Setter<number>, 8: setDouble },
}

/** The numbers in bytes. */
export function numbersIn(bytes: Uint8Array): Numbers {
  const view = new View(ofTypedArray.buffer(bytes))
  return {
    getUnsigned: width => getters.unsigned[width](view, 0, isLittleEndian),
    setUnsigned: (width, value) => {
      setters.unsigned[width](view, 0, value, isLittleEndian)
    },
    getWord: () => getters.word(view, 0, isLittleEndian),
    setWord: value => {
      setWord(view, 0, value, isLittleEndian)
    },
    getFloat: width => getters.float[width](view, 0, isLittleEndian),
    setFloat: (width, value) => {
      setters.float[width](view, 0, value, isLittleEndian)
    },
  }
}

/** Some bytes of others. */
export function part(bytes: ArrayBuffer, offset: number, count: number): Uint8Array {
  return new Bytes(bytes, offset, count)
}

/** Some bytes of a view. */
export function piece(bytes: Uint8Array, offset: number, count: number): Uint8Array {
  return new Bytes(ofTypedArray.buffer(bytes), ofTypedArray.byteOffset(bytes) + offset, count)
}

/** Text in UTF-8. */
export function encodeText(text: string): Uint8Array {
  return encode(encoder, text)
}

/** The text that bytes are in UTF-8; what is none becomes U+FFFD. */
export function decodeText(bytes: Uint8Array): string {
  return decode(decoder, bytes)
}

/** Where the first zero is; -1 if there is none. */
export function indexOfZero(bytes: Uint8Array): number {
  return indexOf(bytes, 0)
}

/** As much of a text as a limit allows. */
export function clip(text: string, limit: number): string {
  return text.length <= limit ? text : sliceText(text, 0, limit)
}

/** A property for good, whatever a prototype has of that name; enumerating shows it, if that is said. */
export function defineHidden(object: object, name: string, value: unknown, enumerable = false): void {
  defineProperty(object, name, { __proto__: null, value, enumerable } as PropertyDescriptor)
}

/** A property that is computed, whatever a prototype has of that name. */
export function defineGetter(object: object, name: string, get: (this: object) => unknown): void {
  defineProperty(object, name, { __proto__: null, get, enumerable: true } as PropertyDescriptor)
}

/** Has a class say of its instances that they are of the class that it extends. */
export function deleteConstructor(prototype: object): void {
  deleteProperty(prototype, 'constructor')
}

/** A property like one that is assigned, whatever a prototype has of that name. */
export function define(object: object, name: string, value: unknown): void {
  const descriptor = { __proto__: null, value, enumerable: true, configurable: true, writable: true }
  defineProperty(object, name, descriptor as PropertyDescriptor)
}

/** A list as users have them. */
export function ordinary<Item>(list: Item[]): Item[] {
  setPrototypeOf(list, Array.prototype)
  return list
}

/** So many numbers, all zero. */
export function makeNumbers(count: number): Float64Array {
  return new Doubles(count)
}

/** So many words, all zero. */
export function makeWords(count: number): BigUint64Array {
  return new Words(count)
}

/** Calls `visit` with each entry of a map, whatever its class says of iterators. */
export function eachEntry(map: ReadonlyMap<unknown, unknown>, visit: (key: unknown, value: unknown) => void): void {
  mapForEach(map, (value, key) => {
    visit(key, value)
  })
}

/**
 * Types of native values beyond scalars: how many bytes they have, and how JavaScript values become those bytes and back.
 *
 * Native code knows a structure by its size and the scalars in it, and passes bytes; fields and names are here. `type.ts` makes types for users,
 * `marshal.ts` has calls use them. Values of users are read once, in the order of the fields, before anything is called.
 */

import { inspect, type InspectOptionsStylized } from 'node:util'
import { checkConstruct, type construct } from './construct.ts'
import { checkObject, invalidType, invalidValue } from './checks.ts'
import { exchange, toElement, type Element } from './elements.ts'
import {
  append,
  byteLength,
  copyBytes,
  define,
  eachEntry,
  get,
  isArray,
  isSafeInteger,
  isView,
  makeBytes,
  makeList,
  ordinary,
  piece,
  prefix,
  set,
  sized,
  toText,
} from './intrinsics.ts'

/** A scalar of a type: what native code calls it, and where it is. */
export interface Leaf {
  readonly kind: string
  readonly offset: number
}

/** What calls do with values of a type. */
export interface Layout {
  readonly size: number
  readonly align: number
  /** What native code calls it: a scalar, or the prefix of a structure. */
  readonly native: string
  /** Whether it is passed by value. Arrays are not, in C. */
  readonly passes: boolean
  /** Says which scalars are in it. */
  readonly visit: (offset: number, see: (leaf: Leaf) => void) => void
  /** Writes a value. Refuses what the type does not have. */
  readonly encode: (value: unknown, name: string, into: Uint8Array, at: number) => void
  readonly decode: (from: Uint8Array, at: number) => unknown
  /** Whether its values are numbers of JavaScript and names for them. */
  readonly values?: ReadonlyMap<unknown, number | bigint>
  /** Where each field begins. */
  readonly offsets?: ReadonlyMap<unknown, number>
}

/** How a pointer is used by the function that it is passed to. */
export type Direction = 'in' | 'out' | 'inout'

/** A pointer to values of a type. */
export interface Pointed {
  readonly to: Layout
  readonly direction: Direction
}

let readLayout: (value: object) => Layout | undefined
let readPointed: (value: object) => Pointed | undefined

/**
 * The type of a native value: a structure, an array, an enumeration or a pointer.
 *
 * @category Calling
 */
export class NativeType<Value = unknown, Kind extends string = string> {
  readonly #layout: Layout
  readonly #pointed: Pointed | undefined
  readonly #name: string

  /** What values of it are in JavaScript. There is no such property when the program runs. */
  declare readonly value: Value
  /** What kind of type it is. There is no such property when the program runs. */
  declare readonly kind: Kind

  static {
    readLayout = value => (#layout in value ? value.#layout : undefined)
    readPointed = value => (#layout in value ? value.#pointed : undefined)
  }

  /** @internal */
  constructor(key: typeof construct, name: string, layout: Layout, pointed?: Pointed) {
    checkConstruct(key, 'NativeType', 'struct(), array(), enumeration() or pointer()')
    this.#layout = layout
    this.#pointed = pointed
    this.#name = name
  }

  /** What errors call it. */
  get name(): string {
    return this.#name
  }

  /** How many bytes it has. */
  get size(): number {
    return this.#layout.size
  }

  /** The alignment that C gives it, in bytes. */
  get align(): number {
    return this.#layout.align
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptionsStylized): string {
    return options.stylize(`[NativeType ${this.#name}, ${toText(this.size)} bytes]`, 'special')
  }
}

/** What is behind a value that is a type; `undefined` for anything else. */
export function layoutOf(value: unknown): Layout | undefined {
  return typeof value === 'object' && value !== null ? readLayout(value) : undefined
}

/** What a pointer type points to; `undefined` for anything else. */
export function pointedOf(value: unknown): Pointed | undefined {
  return typeof value === 'object' && value !== null ? readPointed(value) : undefined
}

/** What C calls them, as the types of data. */
const aliases: ReadonlyMap<unknown, string> = new Map([
  ['char', process.arch === 'arm64' || process.arch === 'arm' ? 'uint8' : 'int8'],
  ['short', 'int16'],
  ['ushort', 'uint16'],
  ['int', 'int32'],
  ['uint', 'uint32'],
  ['long', process.platform === 'win32' ? 'int32' : 'int64'],
  ['ulong', process.platform === 'win32' ? 'uint32' : 'uint64'],
  ['longlong', 'int64'],
  ['ulonglong', 'uint64'],
  ['size_t', 'uint64'],
  ['ssize_t', 'int64'],
  ['intptr_t', 'int64'],
  ['uintptr_t', 'uint64'],
  ['char *', 'pointer'],
  ['string', 'pointer'],
  ['str', 'pointer'],
  ['buffer', 'pointer'],
  ['function', 'pointer'],
])

/** The type of a field or element: one of these, or the name of a scalar. */
export function toLayout(type: unknown, name: string): Layout {
  const known = layoutOf(type)
  if (known !== undefined) return known
  if (typeof type !== 'string') throw invalidType(name, 'a type: its name, or what struct() and the like give', type)
  return scalar(get(aliases, type) ?? type)
}

function scalar(kind: string): Layout {
  const element: Element = toElement(kind)
  const { width } = element
  return {
    size: width,
    align: width,
    native: kind,
    passes: true,
    visit: (offset, see) => {
      see({ kind, offset })
    },
    encode: (value, name, into, at) => {
      element.set(value, name)
      copyBytes(prefix(exchange, width), into, at)
    },
    decode: (from, at) => {
      copyBytes(piece(from, at, width), exchange, 0)
      return element.get()
    },
  }
}

/** So large a type may be: no call passes a larger one. */
const largest = 65536

/** Refuses a type that is too large, before anything is made of it. */
export function checkSize(size: number, name: string): void {
  if (size > largest) throw invalidValue(name, `a type of at most ${toText(largest)} bytes`, size)
}

function roundUp(offset: number, align: number): number {
  return offset + ((align - (offset % align)) % align)
}

/** A field of a structure. */
export interface Field {
  readonly name: string
  readonly layout: Layout
}

/** A structure of fields, laid out as C does. */
export function structure(fields: readonly Field[], label: string): Layout {
  const offsets = new Map<unknown, number>()
  const starts = makeList<number>()
  let end = 0
  let align = 1
  for (let index = 0; index < fields.length; index++) {
    const { name, layout } = fields[index] as Field
    const start = roundUp(end, layout.align)
    append(starts, start)
    set(offsets, name, start)
    end = start + layout.size
    if (layout.align > align) align = layout.align
    checkSize(end, label)
  }
  const size = roundUp(end, align)
  const visit: Layout['visit'] = (offset, see) => {
    for (let index = 0; index < fields.length; index++) {
      ;(fields[index] as Field).layout.visit(offset + (starts[index] as number), see)
    }
  }
  return {
    size,
    align,
    native: describe(size, visit),
    passes: true,
    visit,
    offsets,
    encode: (value, name, into, at) => {
      checkObject(value, name)
      for (let index = 0; index < fields.length; index++) {
        const field = fields[index] as Field
        const content = (value as Record<string, unknown>)[field.name]
        field.layout.encode(content, `${name}.${field.name}`, into, at + (starts[index] as number))
      }
    },
    decode: (from, at) => {
      const value: Record<string, unknown> = {}
      for (let index = 0; index < fields.length; index++) {
        const { name, layout } = fields[index] as Field
        define(value, name, layout.decode(from, at + (starts[index] as number)))
      }
      return value
    },
  }
}

/** Scalars of structures up to this size matter to conventions; what is larger is passed in memory. */
const classified = 64

/** What native code calls a structure. */
function describe(size: number, visit: Layout['visit']): string {
  let text = `struct(${toText(size)}`
  if (size > classified) return `${text},uint8@0)`
  visit(0, ({ kind, offset }) => {
    text += `,${kind === 'bool' ? 'uint8' : kind}@${toText(offset)}`
  })
  return `${text})`
}

/** So many values of a type. */
export function arrayOf(element: Layout, length: number): Layout {
  const { size, align } = element
  return {
    size: size * length,
    align,
    native: '',
    passes: false,
    visit: (offset, see) => {
      for (let index = 0; index < length; index++) element.visit(offset + index * size, see)
    },
    encode: (value, name, into, at) => {
      encodeItems(element, toItems(value, name, length), name, into, at)
    },
    decode: (from, at) => decodeItems(element, length, from, at),
  }
}

/** The items of an array or typed array, read once; of so many, if that is said. */
export function toItems(value: unknown, name: string, length?: number): unknown[] {
  const expected = length === undefined ? 'an array' : `an array of ${toText(length)} values`
  const isTyped = isView(value) && typeof (value as { length?: unknown }).length === 'number'
  if (!isArray(value) && !isTyped) throw invalidType(name, expected, value)
  const items = value as ArrayLike<unknown>
  const count = items.length
  if (length !== undefined && count !== length) throw invalidValue(name, expected, value)
  if (!isSafeInteger(count) || count < 0 || count > largest) throw invalidValue(name, expected, value)
  const list = sized<unknown>(count, undefined)
  for (let index = 0; index < count; index++) list[index] = items[index]
  return list
}

/** Writes values one after the other. */
export function encodeItems(
  element: Layout,
  items: readonly unknown[],
  name: string,
  into: Uint8Array,
  at: number,
): void {
  for (let index = 0; index < items.length; index++) {
    element.encode(items[index], `${name}[${toText(index)}]`, into, at + index * element.size)
  }
}

/** Values that lie one after the other. */
export function decodeItems(element: Layout, length: number, from: Uint8Array, at: number): unknown[] {
  const list = sized<unknown>(length, undefined)
  for (let index = 0; index < length; index++) list[index] = element.decode(from, at + index * element.size)
  return ordinary(list)
}

/** An integer with names for some of its values. */
export function enumerationOf(base: Layout, values: ReadonlyMap<unknown, number | bigint>): Layout {
  let names = ''
  eachEntry(values, key => {
    names += names === '' ? toText(key) : `, ${toText(key)}`
  })
  return {
    ...base,
    values,
    encode: (value, name, into, at) => {
      base.encode(toNumberOf(values, names, value, name), name, into, at)
    },
  }
}

function toNumberOf(
  values: ReadonlyMap<unknown, number | bigint>,
  names: string,
  value: unknown,
  name: string,
): unknown {
  if (typeof value !== 'string') return value
  const known = get(values, value)
  if (known === undefined) throw invalidValue(name, `one of ${names}, or a number`, value)
  return known
}

/** The bytes of one value. */
export function encoded(layout: Layout, value: unknown, name: string): Uint8Array {
  const bytes = makeBytes(layout.size)
  layout.encode(value, name, bytes, 0)
  return bytes
}

/** The bytes that a pointer to values leads to: of an array of them, or of one. */
export function encodedAll(layout: Layout, value: unknown, name: string): Uint8Array {
  if (!isArray(value)) return encoded(layout, value, name)
  const items = toItems(value, name)
  checkSize(items.length * layout.size, name)
  const bytes = makeBytes(items.length * layout.size)
  encodeItems(layout, items, name, bytes, 0)
  return bytes
}

/** How many values bytes are. */
export function countOf(layout: Layout, bytes: Uint8Array): number {
  return byteLength(bytes) / layout.size
}

/** Values in published data: how many bytes each type has, and how they become JavaScript values and back. `data.ts` uses this. */

import type { DataType } from '../variable.ts'
import { invalidType, invalidValue, outOfRange, toAddress } from './checks.ts'
import { get, isSafeInteger, makeBytes, numbersIn, toBigInt } from './intrinsics.ts'

/** A type. */
export interface Element {
  /** How many bytes it has. */
  readonly width: number
  /** The value in the first bytes of the exchange. */
  readonly get: () => unknown
  /** Writes a value to the first bytes of the exchange, if the type has it. */
  readonly set: (value: unknown, name: string) => void
}

/** Through these 8 bytes all values of this thread go, each in one step, in the byte order of the machine. */
export const exchange = makeBytes(8)
const numbers = numbersIn(exchange)

function integer(width: 1 | 2 | 4, isSigned: boolean): Element {
  const bits = width * 8
  const least = isSigned ? -(2 ** (bits - 1)) : 0
  const most = least + 2 ** bits - 1
  const expected = `a whole number from ${String(least)} to ${String(most)}`
  return {
    width,
    get: () => {
      const value = numbers.getUnsigned(width)
      return value > most ? value - 2 ** bits : value
    },
    set: (value, name) => {
      if (typeof value !== 'number') throw invalidType(name, expected, value)
      if (!isSafeInteger(value) || value < least || value > most) throw outOfRange(name, expected, value)
      numbers.setUnsigned(width, value)
    },
  }
}

function wide(isSigned: boolean): Element {
  const least = isSigned ? -(2n ** 63n) : 0n
  const most = least + 2n ** 64n - 1n
  const expected = `a bigint from ${String(least)}n to ${String(most)}n`
  return {
    width: 8,
    get: () => {
      const value = numbers.getWord()
      return value > most ? value - 2n ** 64n : value
    },
    set: (value, name) => {
      const whole = typeof value === 'number' && isSafeInteger(value) ? toBigInt(value) : value
      if (typeof whole !== 'bigint') throw invalidType(name, expected, value)
      if (whole < least || whole > most) throw outOfRange(name, expected, value)
      numbers.setWord(whole)
    },
  }
}

function float(width: 4 | 8): Element {
  return {
    width,
    get: () => numbers.getFloat(width),
    set: (value, name) => {
      if (typeof value !== 'number') throw invalidType(name, 'a number', value)
      numbers.setFloat(width, value)
    },
  }
}

/** Anything that has an address; none is null. */
const pointer: Element = {
  width: 8,
  get: () => numbers.getWord(),
  set: (value, name) => {
    const address = value === null || value === undefined ? 0n : toAddress(value, name)
    numbers.setWord(address)
  },
}

const [int8, uint8, int16, uint16] = [integer(1, true), integer(1, false), integer(2, true), integer(2, false)]
const [int32, uint32, int64, uint64] = [integer(4, true), integer(4, false), wide(true), wide(false)]
const [float32, float64] = [float(4), float(8)]

/** The value of a byte that is not zero is true, as in C. */
const bool: Element = {
  width: 1,
  get: () => numbers.getUnsigned(1) !== 0,
  set: (value, name) => {
    if (typeof value !== 'boolean') throw invalidType(name, 'a boolean', value)
    numbers.setUnsigned(1, value ? 1 : 0)
  },
}

/** Every type by its names. TypeScript sees to it that none is missing, and that there is no other. */
const table: Readonly<Record<DataType, Element>> = {
  ...{ bool, int8, i8: int8, uint8, u8: uint8, int16, i16: int16, uint16, u16: uint16 },
  ...{ int32, i32: int32, uint32, u32: uint32, int64, i64: int64, uint64, u64: uint64 },
  ...{ float32, f32: float32, float: float32, float64, f64: float64, double: float64, pointer, ptr: pointer },
}

const elements: ReadonlyMap<string, Element> = new Map(Object.entries(table))

/** The element of a type, by its name. */
export function toElement(type: unknown): Element {
  if (typeof type !== 'string') throw invalidType('type', 'the name of a type', type)
  const element = get(elements, type)
  if (element === undefined) throw invalidValue('type', `one of ${elementNames}`, type)
  return element
}

/** The names of all types, for errors. */
const elementNames = Object.keys(table).join(', ')

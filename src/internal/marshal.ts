/**
 * Calls of functions whose signatures have more than scalars: what JavaScript passes becomes bytes, and what comes back becomes values.
 *
 * Native code takes and gives a structure as its bytes, and a pointer as an address or as bytes that it borrows. A function of ours around the
 * native one converts; where a signature has scalars only there is none. `signature.ts` says what each argument is.
 */

import { invalidType } from './checks.ts'
import {
  apply,
  assign,
  defineHidden,
  isAnyArrayBuffer,
  isArray,
  isView,
  makeBytes,
  sized,
  toText,
} from './intrinsics.ts'
import { checkSize, countOf, decodeItems, encoded, encodedAll, type Layout, type Pointed } from './types.ts'

/** How values of a type cross. Nothing is done to those that are left out. */
export interface Crossing {
  /** A structure or an enumeration. */
  readonly layout?: Layout | undefined
  readonly pointed?: Pointed | undefined
  /** A function with structures in its signature. */
  readonly callee?: Conversion | undefined
}

/** What a signature converts. */
export interface Conversion {
  readonly result: Crossing | undefined
  readonly parameters: readonly (Crossing | undefined)[]
}

type Callee = (...values: unknown[]) => unknown

/** What native code is passed, and what is done when the call has returned. */
interface Passed {
  readonly values: unknown[]
  readonly after: (() => void)[]
}

/** A native function that takes and gives values of these types. */
export function convert(native: Callee & { pointer: bigint; async: Callee }, conversion: Conversion): unknown {
  const call = (...values: unknown[]): unknown => {
    const { values: passed, after } = pass(conversion.parameters, values)
    const result = apply(native, undefined, passed)
    for (let index = 0; index < after.length; index++) after[index]?.()
    return receive(conversion.result, result)
  }
  const async = (...values: unknown[]): Promise<unknown> => {
    const { values: passed, after } = pass(conversion.parameters, values)
    return finish(apply(native.async, undefined, passed) as Promise<unknown>, after, conversion.result)
  }
  defineHidden(call, 'name', native.name)
  defineHidden(call, 'pointer', native.pointer, true)
  defineHidden(call, 'async', async, true)
  return call
}

async function finish(
  called: Promise<unknown>,
  after: readonly (() => void)[],
  result: Crossing | undefined,
): Promise<unknown> {
  const value = await called
  for (let index = 0; index < after.length; index++) after[index]?.()
  return receive(result, value)
}

/** A JavaScript function that native code calls with structures. */
export function convertCallee(callee: (...values: never[]) => unknown, { result, parameters }: Conversion): Callee {
  return (...values) => {
    for (let index = 0; index < parameters.length; index++) values[index] = receive(parameters[index], values[index])
    const value = apply(callee, undefined, values) as unknown
    const layout = result?.layout
    return layout === undefined ? value : toNative(layout, value, 'result of the callback')
  }
}

function pass(parameters: readonly (Crossing | undefined)[], values: readonly unknown[]): Passed {
  const passed = sized<unknown>(values.length, undefined)
  const after: (() => void)[] = []
  for (let index = 0; index < values.length; index++) {
    const value = values[index]
    const name = `argument ${toText(index + 1)}`
    passed[index] = toPassed(parameters[index], value, name, after)
  }
  return { values: passed, after }
}

function toPassed(crossing: Crossing | undefined, value: unknown, name: string, after: (() => void)[]): unknown {
  if (crossing === undefined) return value
  const { layout, pointed, callee } = crossing
  if (callee !== undefined) return isBare(value) ? convertCallee(value as Callee, callee) : value
  if (pointed !== undefined) return toPointed(pointed, value, name, after)
  return layout === undefined ? value : toNative(layout, value, name)
}

/** Whether a value is a function of JavaScript, which has no code of its own. */
function isBare(value: unknown): boolean {
  return typeof value === 'function' && (value as { pointer?: unknown }).pointer === undefined
}

/** A value as native code takes it: a structure by its bytes, a scalar by its number. */
function toNative(layout: Layout, value: unknown, name: string): unknown {
  const bytes = encoded(layout, value, name)
  return layout.values === undefined ? bytes : layout.decode(bytes, 0)
}

/** What leads to values: an address, bytes that are there already, or bytes that are made and read again. */
function toPointed({ to, direction }: Pointed, value: unknown, name: string, after: (() => void)[]): unknown {
  const isMade = typeof value === 'object' && value !== null && !isView(value) && !isAnyArrayBuffer(value)
  if (!isMade || (!isArray(value) && 'pointer' in value)) return value
  if (!isArray(value) && to.offsets === undefined) throw invalidType(name, 'an array, whose values it leads to', value)
  const bytes = direction === 'out' ? room(to, value, name) : encodedAll(to, value, name)
  if (direction !== 'in') {
    after[after.length] = () => {
      restore(to, bytes, value)
    }
  }
  return bytes
}

/** Bytes for what a function writes: as many values as the array has, or one. */
function room(layout: Layout, value: object, name: string): Uint8Array {
  const size = (isArray(value) ? value.length : 1) * layout.size
  checkSize(size, name)
  return makeBytes(size)
}

/** Puts what a function has written where it was passed. */
function restore(layout: Layout, bytes: Uint8Array, into: object): void {
  const items = decodeItems(layout, countOf(layout, bytes), bytes, 0)
  const isList = isArray(into)
  const source = isList ? items : items[0]
  assign(into, source)
}

function receive(crossing: Crossing | undefined, value: unknown): unknown {
  const layout = crossing?.layout
  return layout === undefined || layout.values !== undefined ? value : layout.decode(value as Uint8Array, 0)
}

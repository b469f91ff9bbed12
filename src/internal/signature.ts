/** Signatures as native code takes them. `Image.function`, `Section.function` and `CodeMemory.callback` use this. */

import { compileSignature } from '#native'
import type { Signature } from '../signature.ts'
import { checkShape, checkString, invalidType, invalidValue, isShaped, names, toItems } from './checks.ts'
import { append, clip, get, makeList, set, sized, toText } from './intrinsics.ts'
import { convert, convertCallee, type Conversion, type Crossing } from './marshal.ts'
import { layoutOf, pointedOf } from './types.ts'

const signatureNames = names<Signature>({ return: true, arguments: true })

/**
 * As much of a name as crosses: no type has a longer one, and a string that is in an array again and again crosses each time.
 */
const longestName = 100

/** How deep functions of functions go: as deep as native code follows them. */
const deepest = 8

type Signed = ReturnType<typeof compileSignature>

/** A signature as it was read. */
interface Read {
  /** The names of its types as native code has them, that of the result first. */
  readonly types: string[]
  /** What is to be converted; `undefined` where all are scalars. */
  readonly conversion: Conversion | undefined
}

/** A type as native code has it, and what is done to its values. */
interface Typed {
  readonly native: string
  readonly crossing: Crossing | undefined
}

/** Signatures that were compiled, by the names of their types. */
const compiled = new Map<string, Signed>()

/** So many are kept: a program has few. */
const most = 4096
let kept = 0

/** A function with a signature, of what native code makes. Whether its types exist is for native code to say. */
export function withSignature(signature: Signature, make: (signed: Signed) => unknown): unknown {
  const { types, conversion } = read(signature, 'signature', deepest)
  const native = make(toSigned(types))
  return conversion === undefined ? native : convert(native as Parameters<typeof convert>[0], conversion)
}

/** A callee of JavaScript that native code calls with a signature, and that signature. */
export function withCallee<T>(
  signature: Signature,
  callee: (...values: never[]) => unknown,
  make: (signed: Signed, callee: (...values: never[]) => unknown) => T,
): T {
  const { types, conversion } = read(signature, 'signature', deepest)
  const converted = conversion === undefined ? callee : convertCallee(callee, conversion)
  return make(toSigned(types), converted)
}

function toSigned(types: string[]): Signed {
  let key = ''
  for (let index = 0; index < types.length; index++) {
    const type = types[index] ?? ''
    // With its length: a name may contain anything.
    key += `${toText(type.length)}:${type}`
  }
  const known = get(compiled, key)
  if (known !== undefined) return known
  const signed = compileSignature(types)
  if (kept < most) {
    kept++
    set(compiled, key, signed)
  }
  return signed
}

function read(signature: Signature, what: string, depth: number): Read {
  if (!isShaped(signature, signatureNames)) checkShape(signature, what, signatureNames)
  const { return: result = 'void', arguments: list = [] } = signature
  const back = typedValue(result, what, 'return')
  const all = toItems(list, `${what}.arguments`, 'an array of types', (type, index) =>
    typeof type === 'string' ? scalar(type) : typed(type, `${what}.arguments[${toText(index)}]`, depth),
  )
  const types = sized(all.length + 1, back.native)
  let converts = back.crossing !== undefined
  for (let index = 0; index < all.length; index++) {
    const { native, crossing } = all[index] as Typed
    types[index + 1] = native
    converts ||= crossing !== undefined
  }
  return { types, conversion: converts ? { result: back.crossing, parameters: crossings(all) } : undefined }
}

/** How values cross, one for each argument: what stands before those that vary is none. */
function crossings(all: readonly Typed[]): (Crossing | undefined)[] {
  const parameters = makeList<Crossing | undefined>()
  for (let index = 0; index < all.length; index++) {
    const { native, crossing } = all[index] as Typed
    if (native !== '...') append(parameters, crossing)
  }
  return parameters
}

function typed(type: unknown, name: string, depth: number): Typed {
  const isFunction = typeof type === 'object' && type !== null && layoutOf(type) === undefined
  return isFunction ? functionType(type, name, depth - 1) : structured(type, name)
}

/** A type by its name. */
function scalar(name: string): Typed {
  return { native: name.length > longestName ? clip(name, longestName) : name, crossing: undefined }
}

/** A type that is no function, in a part of something. */
function typedValue(type: unknown, what: string, part: string): Typed {
  return typeof type === 'string' ? scalar(type) : structured(type, `${what}.${part}`)
}

/** A type that is no function, and no name either. */
function structured(type: unknown, name: string): Typed {
  const pointed = pointedOf(type)
  if (pointed !== undefined) return { native: 'pointer', crossing: { pointed } }
  const layout = layoutOf(type)
  if (layout === undefined) {
    checkString(type, name)
    return scalar(type)
  }
  if (!layout.passes) {
    throw invalidType(name, 'a type that C passes by value: of an array, pass pointer() of what is in it', type)
  }
  return { native: layout.native, crossing: { layout } }
}

/** What stands for a function with a signature of its own. */
function functionType(signature: Signature, name: string, depth: number): Typed {
  if (depth === 0) throw invalidValue(name, `functions of functions, at most ${String(deepest)} deep`, signature)
  const { types, conversion } = read(signature, name, depth)
  let list = ''
  for (let index = 0; index < types.length; index++)
    list += index === 0 ? (types[index] ?? '') : `,${types[index] ?? ''}`
  const crossing = conversion === undefined ? undefined : { callee: conversion }
  return { native: `function(${list})`, crossing }
}

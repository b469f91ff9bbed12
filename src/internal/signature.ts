/** Signatures as native code takes them. `Image.function`, `Section.function` and `CodeMemory.callback` use this. */

import type { Signature } from '../signature.ts'
import { checkShape, checkString, invalidValue, names, toList } from './checks.ts'
import { append, clip, makeList } from './intrinsics.ts'

const signatureNames = names<Signature>({ return: true, arguments: true })

/**
 * As much of a name as crosses: no type has a longer one, and a string that is in an array again and again crosses each time.
 */
const longestName = 100

/** How deep functions of functions go: as deep as native code follows them. */
const deepest = 8

/** The type names of a signature, that of the result first. Whether they exist is for native code to say. */
export function typeNames(signature: Signature): string[] {
  return read(signature, 'signature', deepest)
}

function read(signature: Signature, what: string, depth: number): string[] {
  checkShape(signature, what, signatureNames)
  const { return: result = 'void', arguments: types = [] } = signature
  checkString(result, `${what}.return`)
  const all = makeList<string>()
  append(all, clip(result, longestName))
  toList(types, `${what}.arguments`, 'an array of types', (type, name) => {
    append(all, typeof type === 'object' && type !== null ? functionName(type, name, depth - 1) : nameOf(type, name))
  })
  return all
}

function nameOf(type: unknown, name: string): string {
  checkString(type, name)
  return clip(type, longestName)
}

/** What stands for a function with a signature of its own. */
function functionName(signature: Signature, name: string, depth: number): string {
  if (depth === 0) throw invalidValue(name, `functions of functions, at most ${String(deepest)} deep`, signature)
  const all = read(signature, name, depth)
  let list = ''
  for (let index = 0; index < all.length; index++) list += index === 0 ? (all[index] ?? '') : `,${all[index] ?? ''}`
  return `function(${list})`
}

/** Signatures as native code takes them. `Image.function` and `Section.function` use this. */

import type { Signature } from '../signature.ts'
import { checkShape, checkString, names, toList } from './checks.ts'
import { append, clip, makeList } from './intrinsics.ts'

const signatureNames = names<Signature>({ return: true, arguments: true })

/**
 * As much of a name as crosses: no type has a longer one, and a string that is in an array again and again crosses each time.
 */
const longestName = 100

/** The type names of a signature, that of the result first. Whether they exist is for native code to say. */
export function typeNames(signature: Signature): string[] {
  checkShape(signature, 'signature', signatureNames)
  const { return: result = 'void', arguments: types = [] } = signature
  checkString(result, 'signature.return')
  const all = makeList<string>()
  append(all, clip(result, longestName))
  toList(types, 'signature.arguments', 'an array of strings', (type, name) => {
    checkString(type, name)
    append(all, clip(type, longestName))
  })
  return all
}

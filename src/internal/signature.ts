/** Signatures as native code takes them. `Image.function` and `Section.function` use this. */

import type { Signature } from '../signature.ts'
import { checkShape, checkString, checkStrings, names } from './checks.ts'

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
  checkStrings(types, 'signature.arguments')
  return [result, ...types].map(name => name.slice(0, longestName))
}

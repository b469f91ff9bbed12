/** Signatures as native code takes them. `Image.function` and `Section.function` use this. */

import type { Signature } from '../signature.ts'
import { checkShape, checkString, names, toList } from './checks.ts'
import { append, makeList } from './intrinsics.ts'

const signatureNames = names<Signature>({ return: true, arguments: true })

/** The type names of a signature, that of the result first. Whether they exist is for native code to say. */
export function typeNames(signature: Signature): string[] {
  checkShape(signature, 'signature', signatureNames)
  const { return: result = 'void', arguments: types = [] } = signature
  checkString(result, 'signature.return')
  const all = makeList<string>()
  append(all, result)
  toList(types, 'signature.arguments', 'an array of strings', (type, name) => {
    checkString(type, name)
    append(all, type)
  })
  return all
}

/** What is in objects and archives, as it was read: for `codeslab inspect`. */

import * as native from '#native'
import type { LinkInput } from '../link.ts'
import { encodeInputs } from './link.ts'

/** An object, or what is in the place of one. */
export type Inspected = ReturnType<typeof native.inspectInputs>[number]

/** Every object of some inputs, in their order; members of archives as well. */
export function inspectInputs(inputs: readonly LinkInput[], withRelocations: boolean): Inspected[] {
  return native.inspectInputs(encodeInputs(inputs), withRelocations)
}

/** Whether functions are called by V8 itself here. */
export function hasFastCalls(): boolean {
  return native.hasFastCalls()
}

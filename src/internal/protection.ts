/** The protections as native code numbers them: requests and graphs are written with these numbers, answers read. */

import type { NativeProtection } from '#native'
import { choices } from './checks.ts'
import { toNumber, toText } from './intrinsics.ts'

/** The number of each. TypeScript sees to it that none is missing, and that there is no other. */
const numbers: Readonly<Record<NativeProtection, number>> = { rx: 0, ro: 1, rw: 2 }

/** The number of each, to be looked up with anything. */
export const protections = choices<number>(Object.entries(numbers))

/** The number of one; `undefined` for anything else. Comparing takes less than looking up. */
export function numberOf(protection: unknown): number | undefined {
  if (protection === 'rx') return numbers.rx
  if (protection === 'ro') return numbers.ro
  return protection === 'rw' ? numbers.rw : undefined
}

/** Their names in this order. */
const inOrder = Object.keys(numbers) as NativeProtection[]

/** The one with this number. */
export function protectionAt(number: bigint | number | undefined): NativeProtection {
  const protection = inOrder[typeof number === 'number' ? number : toNumber(number)]
  if (protection === undefined) throw new Error(`there is no protection ${toText(number)}`)
  return protection
}

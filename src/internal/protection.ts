/** The protections as native code numbers them: requests and graphs are written with these numbers, answers read. */

import type { Protection } from '../protection.ts'

/** In the order in which native code numbers them. */
const inOrder: readonly Protection[] = ['rx', 'ro', 'rw']

/** The number of each. */
export const protections: ReadonlyMap<unknown, number> = new Map(
  inOrder.map((protection, index) => [protection, index]),
)

/** The one with this number. */
export function protectionAt(index: bigint | undefined): Protection {
  const protection = inOrder[Number(index)]
  if (protection === undefined) throw new Error(`there is no protection ${String(index)}`)
  return protection
}

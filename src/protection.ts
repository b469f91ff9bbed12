/** What memory can be. */

/**
 * What published bytes may be used for: code (`'rx'`: read and execute), constants (`'ro'`: read) or data (`'rw'`: read and
 * write). There is no fourth: nothing is writable and executable.
 *
 * @example
 * ```ts
 * import type { Protection } from 'codeslab'
 *
 * const code: Protection = 'rx'
 * ```
 *
 * @category Memory
 */
export type Protection = 'rx' | 'ro' | 'rw'

/** In the order in which native code numbers them. */
const inOrder: readonly Protection[] = ['rx', 'ro', 'rw']

/**
 * The number of each.
 *
 * @internal
 */
export const protections: ReadonlyMap<unknown, number> = new Map(
  inOrder.map((protection, index) => [protection, index]),
)

/**
 * The one with this number.
 *
 * @internal
 */
export function protectionAt(index: bigint | undefined): Protection {
  const protection = inOrder[Number(index)]
  if (protection === undefined) throw new Error(`there is no protection ${String(index)}`)
  return protection
}

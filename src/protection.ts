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

/**
 * In the order in which native code numbers them.
 *
 * @internal
 */
export const protections: ReadonlyMap<unknown, number> = new Map<Protection, number>([
  ['rx', 0],
  ['ro', 1],
  ['rw', 2],
])

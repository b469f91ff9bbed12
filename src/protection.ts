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

/** Constructors that only codeslab calls: what users get from methods is still a class, for `instanceof` and for the docs. */

/**
 * Whoever has it is codeslab.
 *
 * @internal
 */
export const construct: unique symbol = Symbol('construct')

/**
 * Refuses everybody else.
 *
 * @internal
 */
export function checkConstruct(key: unknown, name: string, origin: string): void {
  if (key !== construct) throw new TypeError(`${name} cannot be constructed: it is what ${origin} gives`)
}

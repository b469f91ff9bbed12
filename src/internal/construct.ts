/**
 * Constructors that only codeslab calls: what users get from methods is still a class, for `instanceof` and for the docs.
 *
 * Such a class has a constructor that asks for the key, and hands a function that calls it to its own module. It is no member
 * of the class: with one, everybody could make objects around handles that are none.
 */

/** The key to those constructors: users do not have it. */
export const construct: unique symbol = Symbol('construct')

/** Refuses a `new` in the code of a user. */
export function checkConstruct(key: unknown, name: string, origin: string): void {
  if (key !== construct) throw new TypeError(`${name} cannot be constructed: it is what ${origin} gives`)
}

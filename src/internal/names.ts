/**
 * The names of the sections of allocations, and the classes of allocations whose sections have these names.
 *
 * A program has many allocations and few lists of names. Those with the same names have a class in common, whose properties are
 * getters that make a section when it is asked for: an allocation itself is two words. What has a class stays for good, so only so many lists
 * have one; allocations with other names have their sections as properties of their own, made at once.
 */

import type { construct } from './construct.ts'
import { append, defineGetter, defineHidden, deleteConstructor, get, makeList, set } from './intrinsics.ts'

/** A class whose instances have sections of some names. */
export type Shaped = new (key: typeof construct, ...held: unknown[]) => object

/** The names of some sections, in their order. */
export interface Names {
  readonly list: readonly string[]
  /** Those with one name more. */
  next: Map<string, Names> | undefined
  /** The classes that allocations with these names have, once there are some. */
  inFlight: Shaped | undefined
  published: Shaped | undefined
  /** Whether it stays, and may have classes. */
  readonly stays: boolean
}

/** How many lists of names stay. */
const MOST = 256

let staying = 0

const none = make([], true)

function make(list: readonly string[], stays: boolean): Names {
  return { list, next: undefined, inFlight: undefined, published: undefined, stays }
}

/** The names of some sections, if there were sections of these names before. */
export function findNames(list: readonly string[]): Names | undefined {
  let names: Names | undefined = none
  for (let index = 0; index < list.length; index++) {
    if (names.next === undefined) return undefined
    names = get(names.next, list[index])
    if (names === undefined) return undefined
  }
  return names
}

/** The names of some sections. */
export function toNames(list: readonly string[]): Names {
  let names = none
  const begun = makeList<string>()
  for (let index = 0; index < list.length; index++) {
    const name = list[index] ?? ''
    append(begun, name)
    const known = names.next === undefined ? undefined : get(names.next, name)
    if (known === undefined && staying >= MOST) return make(list, false)
    names = known ?? grow(names, name, begun)
  }
  return names
}

function grow(names: Names, name: string, begun: readonly string[]): Names {
  staying++
  const longer = make(copy(begun), true)
  names.next ??= new Map()
  set(names.next, name, longer)
  return longer
}

/** Another list of the same names, with no prototype to ask. */
export function copy(list: readonly string[]): string[] {
  const all = makeList<string>()
  for (let index = 0; index < list.length; index++) append(all, list[index] ?? '')
  return all
}

/** A class like another one, whose instances have sections: `sectionOf` makes them. It has the constructor of the other one for users. */
export function shape(
  base: Shaped,
  { list }: Names,
  sectionOf: (value: object, name: string, index: number) => object,
): Shaped {
  class Allocated extends base {}
  deleteConstructor(Allocated.prototype)
  for (let index = 0; index < list.length; index++) {
    const name = list[index] ?? ''
    defineGetter(Allocated.prototype, name, function (this: object) {
      return sectionOf(this, name, index)
    })
  }
  return Allocated
}

/** Gives an allocation whose class has no sections its own. */
export function addSections<T extends object>(
  value: T,
  { list }: Names,
  sectionOf: (value: object, name: string, index: number) => object,
): T {
  for (let index = 0; index < list.length; index++) {
    const name = list[index] ?? ''
    defineHidden(value, name, sectionOf(value, name, index))
  }
  return value
}

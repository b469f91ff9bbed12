/**
 * The native functions that the life of every allocation goes through, and the numbers that they share with JavaScript.
 *
 * Four numbers say what each section shall be: the index of its protection, its size, its alignment, and in batches how its content comes. As
 * many say afterwards where it is: that index again, its size, and the halves of its address. Of many requests at once, a number says how many
 * sections each has, and the number of each allocation comes back. No request needs them while another one is in native code, which reads and writes them before it
 * returns.
 */

import * as native from '#native'
import { makeNumbers } from './intrinsics.ts'

/** How many numbers there are for a section at most. */
const NUMBERS = 4

let capacity = 64

/** The numbers of one request. */
export let numbers = makeNumbers(NUMBERS * capacity)

/** The functions that use them. */
export let life = native.life(numbers)

/** Makes room for so many sections of so many allocations. */
export function makeRoom(sections: number, allocations = 1): void {
  const count = sections + allocations
  if (count <= capacity) return
  capacity = count
  numbers = makeNumbers(NUMBERS * capacity)
  life = native.life(numbers)
}

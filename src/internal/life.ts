/**
 * The native functions that the life of every allocation goes through, and the numbers that they share with JavaScript.
 *
 * Three numbers say what each section shall be: the index of its protection, its size and its alignment. After allocating, two say
 * where it is: the halves of its address. No request needs them while another one is in native code, which reads and writes them before it
 * returns.
 */

import * as native from '#native'
import { makeNumbers } from './intrinsics.ts'

/** How many numbers tell native code what a section is. */
const NUMBERS = 3

let capacity = 64

/** The numbers of one request. */
export let numbers = makeNumbers(NUMBERS * capacity)

/** The functions that use them. */
export let life = native.life(numbers)

/** Makes room for so many sections. */
export function makeRoom(count: number): void {
  if (count <= capacity) return
  capacity = count
  numbers = makeNumbers(NUMBERS * capacity)
  life = native.life(numbers)
}

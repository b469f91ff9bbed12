/** A worker that calls through a slot until it is told to stop, and says how often, and whether every answer was one of a version. */

import { parentPort, workerData } from 'node:worker_threads'
import { Image, Slot } from '../../index.ts'

const { slot, image, flags } = workerData as { slot: string; image: string | undefined; flags: Int32Array }
const signature = { return: 'int32', arguments: ['int32'] } as const
// Either the slot itself, or machine code that branches to it.
const call =
  image === undefined ? Slot.open(slot).function(signature) : Image.open(image).function('through', signature)

let calls = 0
let wrong = 0
let last = 0
Atomics.add(flags, 1, 1)
Atomics.notify(flags, 1)
while (Atomics.load(flags, 0) === 0) {
  const version = call(calls) - calls
  const newest = Atomics.load(flags, 2)
  // A version never comes back, and none comes before it was placed.
  if (version < last || version > newest) wrong++
  last = version
  calls = (calls + 1) & 0xffff
}
parentPort?.postMessage({ calls, wrong, last })

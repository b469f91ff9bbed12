/**
 * Calls a function of two integers through the Node module: `node bench/call.ts - CALLS`. One call is one object.
 *
 * The figure is that of the fastest of many short rounds. A call is a few dozen nanoseconds of pure computing, and on a shared
 * machine the neighbour on the same core slows it by half for seconds at a time; the fastest round is the one without.
 */

import { CodeMemory } from 'codeslab'
import { print } from './measure.ts'

const ROUNDS = 400

const calls = Number(process.argv[3])
const memory = new CodeMemory()
// lea eax, [rdi + rsi]; ret
const code = Uint8Array.of(0x8d, 0x04, 0x37, 0xc3)
const allocation = memory.allocate({ text: { protection: 'rx', bytes: code } }).finalize()
const add = allocation.text.function({ return: 'int32', arguments: ['int32', 'int32'] })

const perCall: number[] = []
for (let round = 0; round < ROUNDS; round++) perCall.push(timeOf(Math.ceil(calls / ROUNDS)))
print({ objects: calls, failed: 0, us_per_object: Math.min(...perCall) })

/** Microseconds per call, with a check that the calls happened. */
function timeOf(count: number): number {
  let sum = 0
  const start = performance.now()
  for (let index = 0; index < count; index++) sum = add(sum, 1)
  const elapsed = performance.now() - start
  if (sum !== count) throw new Error(`${sum} after ${count} additions of 1`)
  return (elapsed * 1000) / count
}

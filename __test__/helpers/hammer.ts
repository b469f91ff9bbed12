/** A worker that allocates, links, calls and frees, as often as it is told to. */

import { parentPort, workerData } from 'node:worker_threads'
import { CodeMemory } from '../../index.ts'
import { add, binary } from './machine-code.ts'
import { generator } from './random.ts'

const { token, object, rounds, index } = workerData as {
  token: string
  object: Uint8Array
  rounds: number
  index: number
}
const primes = [2, 3, 5, 7, 11, 13, 17, 19]
const memory = CodeMemory.open(token)
const random = generator(index + 1)
const kept: { check: () => boolean; free: () => void }[] = []
let wrong = 0

for (let round = 0; round < rounds; round++) {
  kept.push(linked(round), placed(round))
  while (kept.length > random() * 16) {
    const [{ check, free } = { check: () => false, free: () => undefined }] = kept.splice(
      Math.floor(random() * kept.length),
      1,
    )
    if (!check()) wrong++
    free()
  }
}
for (const { check, free } of kept) {
  if (!check()) wrong++
  free()
}
memory.dispose()
parentPort?.postMessage({ rounds, wrong })

function linked(round: number): { check: () => boolean; free: () => void } {
  const image = memory.link({ name: `worker-${String(index)}-${String(round)}.o`, bytes: object })
  const times = image.function('prime_times', binary)
  const calls = image.function('calls_so_far', { return: 'int32' })
  const right = times(round, index + 1) === (primes[round & 7] ?? 0) * (index + 1)
  return {
    check: () => right && times(3, 2) === 14 && calls() === 2,
    free: () => {
      image.free()
    },
  }
}

function placed(round: number): { check: () => boolean; free: () => void } {
  const size = add.length + Math.floor(random() * 300)
  const inFlight = memory.allocate({ text: { protection: 'rx', size }, state: { protection: 'rw', size } })
  inFlight.text.write(add)
  const allocation = inFlight.finalize()
  const sum = allocation.text.function(binary)
  return {
    check: () => sum(round, index) === round + index,
    free: () => {
      allocation.free()
    },
  }
}

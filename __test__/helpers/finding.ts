/** A worker that asks whose an address is until it is told to stop. */

import { parentPort, workerData } from 'node:worker_threads'
import { CodeMemory } from '../../index.ts'
import { generator } from './random.ts'

/** What does not change while it asks: bytes somewhere. */
export interface Fixed {
  readonly address: bigint
  readonly size: number
}

const { token, fixed, changing, words } = workerData as {
  token: string
  fixed: readonly Fixed[]
  changing: { readonly first: bigint; readonly last: bigint }
  words: Int32Array
}
const memory = CodeMemory.open(token)
const random = generator(7)
let wrong = 0

while (Atomics.load(words, 1) === 0) {
  for (const { address, size } of fixed) {
    const found = memory.find(address + BigInt(Math.floor(random() * size)))
    if (found?.address !== address || found.size < size || found.protection !== 'rx') wrong++
  }
  const span = Number(changing.last - changing.first)
  const address = changing.first + BigInt(Math.floor(random() * span))
  const found = memory.find(address)
  if (found && (address < found.address || address >= found.address + BigInt(found.size))) wrong++
  if (found) Atomics.add(words, 2, 1)
  Atomics.add(words, 0, fixed.length + 1)
}
parentPort?.postMessage({ wrong })

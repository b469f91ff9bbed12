/** A worker that ends without freeing anything. */

import { parentPort, workerData } from 'node:worker_threads'
import { CodeMemory } from '../../index.ts'

const { token, object } = workerData as { token: string; object: Uint8Array }
const memory = CodeMemory.open(token)
export const left = [
  memory.link({ name: 'left.o', bytes: object }),
  memory.allocate({ state: { protection: 'rw', size: 100 } }).finalize(),
  memory.allocate({ text: { protection: 'rx', size: 100 } }),
]
const { live, inFlight } = memory.stats()
parentPort?.postMessage({ live, inFlight })

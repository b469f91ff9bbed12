/** A worker that frees what it has placed, and says which grace that belongs to. */

import { parentPort, workerData } from 'node:worker_threads'
import { CodeMemory } from '../../index.ts'

const memory = CodeMemory.open(workerData as string)
memory
  .allocate({ text: { protection: 'rx', size: 1024 } })
  .finalize()
  .free()
parentPort?.postMessage({ quarantinedBytes: memory.stats().quarantinedBytes, grace: memory.beginGracePeriod() })

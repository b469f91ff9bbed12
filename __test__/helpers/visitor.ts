/** A worker that opens an allocation, keeps a view of its data, and says what becomes of the view. */

import { once } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'
import { Allocation } from '../../index.ts'

const { token } = workerData as { token: string }
const allocation = Allocation.open<'state'>(token)
const view = allocation.state.view()
const words = new Int32Array(view.buffer)
Atomics.add(words, 0, 1)
parentPort?.postMessage({ length: view.length, first: words[0] })

// The other thread frees while this one does not let its event loop turn: the view stays what it is.
const flags = (workerData as { flags: Int32Array }).flags
Atomics.wait(flags, 0, 0)
words[1] = 77
parentPort?.postMessage({ length: view.length, second: words[1], freed: allocation.freed })

// Then it turns, and the view is detached. What keeps this thread alive is the port.
while (view.length > 0) await new Promise(setImmediate)
parentPort?.postMessage({ length: view.length })
if (parentPort) await once(parentPort, 'message')
process.exit()

/** A worker that has native code call an address, which is all that it knows of what it calls. */

import { parentPort, workerData } from 'node:worker_threads'
import { Image } from '../../index.ts'

const { token, address, words } = workerData as { token: string; address: bigint; words: Int32Array }
const visit = Image.open(token).function('visit', { return: 'int32', arguments: ['pointer', 'pointer'] })
parentPort?.postMessage({ result: visit(address, words) })

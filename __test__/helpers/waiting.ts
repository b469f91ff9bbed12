/** A worker that calls something long, in an image that is freed meanwhile. */

import { parentPort, workerData } from 'node:worker_threads'
import { CodeslabError, Image } from '../../index.ts'

const { token, words } = workerData as { token: string; words: Int32Array }
const wait = Image.open(token).function('wait', { return: 'int32', arguments: ['pointer'] })
const result = wait(words)
parentPort?.postMessage({ result, after: codeOf(() => wait(words)) })

function codeOf(action: () => unknown): string | undefined {
  try {
    action()
    return undefined
  } catch (error) {
    return error instanceof CodeslabError ? error.code : String(error)
  }
}

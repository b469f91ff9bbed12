/** A worker that opens the images that it is told of, and says what their variables of its thread count to. */

import { parentPort } from 'node:worker_threads'
import { Image } from '../../index.ts'

parentPort?.on('message', (token: string) => {
  const image = Image.open(token)
  const count = image.function('count', { return: 'int32', arguments: ['int32'] })
  parentPort?.postMessage([count(2), count(3)])
})
parentPort?.postMessage('ready')

// One of the threads of scripts/rounds.mjs: links, calls and frees, again and again.

import { parentPort, workerData } from 'node:worker_threads'

const { module, memory: token, counters: shared, object, rounds, number } = workerData
/** @type {typeof import('../../index.ts')} */
const { CodeMemory, CodeslabError, Image } = await import(module)
const memory = CodeMemory.open(token)
const counters = Image.open(shared)
const names = ['constructed', 'destroyed', 'made', 'unmade', 'left']
const externals = Object.fromEntries(names.map(name => [name, counters]))
const input = { name: 'rounds.o', bytes: object }
/** @type {bigint[]} */
const addresses = []
for (let round = 0; round < rounds; round++) {
  const image = memory.link(input, { externals })
  const play = image.function('play', { return: 'int32', arguments: ['int32'] })
  const n = (round + number) % 50
  const caught = n % 2 === 1 ? 'm'.charCodeAt(0) : n
  const expected = (1 + n) * 1_000_000 + (1 + 2 * n) * 1000 + caught
  const found = play(n)
  if (found !== expected) throw new Error(`round ${round}: ${found} instead of ${expected}`)
  try {
    image.function('leaves', { return: 'int32', arguments: ['int32'] })(1)
    throw new Error('nothing was thrown')
  } catch (error) {
    if (!(error instanceof CodeslabError) || error.code !== 'ERR_CODESLAB_EXCEPTION') throw error
  }
  if (round % 100 === 0) addresses.push(image.address('play'))
  image.free()
}
memory[Symbol.dispose]()
parentPort?.postMessage(addresses)

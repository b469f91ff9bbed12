/** Frees code that a worker executes, called by optimized code: `node --allow-natives-syntax … OBJECT WORDS`. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { CodeMemory, Image } from 'codeslab'

if (isMainThread) await free()
else call()

async function free() {
  const memory = new CodeMemory()
  const words = memory.link(readFileSync(process.argv[3]))
  const externals = { entered: words.address('entered'), leave: words.address('leave') }
  const image = memory.link(readFileSync(process.argv[2]), { externals })
  const live = memory.stats().live
  const worker = new Worker(new URL(import.meta.url), { workerData: image.share() })
  const exited = once(worker, 'exit')
  const hasEntered = words.function('has_entered', { return: 'int32' })
  while (hasEntered() === 0) await setTimeout(1)
  image.free()
  assert.equal(memory.stats().live, live, 'the call is running')
  words.function('let_go', {})()
  const [result] = await once(worker, 'message')
  assert.deepEqual(result, { value: 7, code: 'ERR_CODESLAB_FREED' })
  assert.equal(memory.stats().live, live - 1, 'it has returned')
  await exited
}

function call() {
  const linger = Image.open(workerData).function('linger', { return: 'int32' })
  const add = Image.open(workerData).function('add', { return: 'int32', arguments: ['int32', 'int32'] })
  const choose = (which, a, b) => (which ? linger() : add(a, b))
  new Function('f', '%PrepareFunctionForOptimization(f)')(choose)
  for (let round = 0; round < 3; round++) choose(false, 1, 2)
  new Function('f', '%OptimizeFunctionOnNextCall(f)')(choose)
  choose(false, 1, 2)
  const loop = () => {
    for (let round = 0; round < 100_000; round++) add(round, 1)
    return linger()
  }
  const value = loop()
  try {
    add(1, 2)
  } catch ({ code }) {
    parentPort.postMessage({ value, code })
  }
}

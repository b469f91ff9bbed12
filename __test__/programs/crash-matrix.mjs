/**
 * Ends what a call or a callback stands on, at every point of it: `node --expose-gc … OBJECT WORDS`.
 *
 * A point is where a worker's call is when something happens: before it, in native code, in JavaScript that native code called, in native
 * code below that, on a thread of the pool, and in JavaScript that another thread called. What happens is that the worker is
 * terminated, that the code is freed, the callback disposed of, the memory closed, or garbage collected; by the worker itself
 * where its JavaScript runs, and by the main thread where it does not. Prints what each came to.
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { CodeMemory, Image, struct } from 'codeslab'

const next = { return: 'int32', arguments: ['int32'] }
const Pair = struct('Pair', { first: 'int64', second: 'double', third: 'int32' })
const turn = { return: Pair, arguments: [Pair] }
const pair = { first: 1n, second: 2, third: 3 }
const points = ['idle', 'native', 'callback', 'structure', 'nested', 'async', 'foreign']
const actions = ['terminate', 'free', 'dispose', 'close', 'collect']

if (isMainThread) await walk()
else await work(workerData)

async function walk() {
  const memory = new CodeMemory()
  const words = memory.link(readFileSync(process.argv[3]))
  const [entered, leave] = [words.data('entered', 'int32'), words.data('leave', 'int32')]
  const externals = { entered: words.address('entered'), leave: words.address('leave') }
  const before = memory.stats().live
  for (const point of points) {
    for (const action of actions) {
      // Native code that runs in the only thread of the worker: nothing there can dispose of anything.
      if (point === 'native' && (action === 'dispose' || action === 'close')) continue
      entered.value = 0
      leave.value = 0
      const image = memory.link(readFileSync(process.argv[2]), { externals })
      const tokens = { image: image.share(), words: words.share(), memory: memory.share() }
      const worker = new Worker(new URL(import.meta.url), { workerData: { point, action, ...tokens } })
      const said = once(worker, 'message').then(([message]) => message)
      const exited = once(worker, 'exit')
      const isOurs = action === 'terminate' || point === 'native'
      if (isOurs) await act({ action, worker, image, entered, leave })
      const result = action === 'terminate' ? 'terminated' : await said
      await worker.terminate()
      await exited
      process.stdout.write(`${point} ${action}: ${result}\n`)
      if (!image.freed) image.free()
      checkLife(memory, externals)
    }
  }
  for (let round = 0; round < 100 && memory.stats().live > before; round++) {
    globalThis.gc()
    await setTimeout(20)
  }
  assert.equal(memory.stats().live, before)
  process.stdout.write('all given back\n')
}

/** What the main thread does when the worker is at its point. */
async function act({ action, worker, image, entered, leave }) {
  while (entered.value === 0) await setTimeout(1)
  const ended = action === 'terminate' ? worker.terminate() : undefined
  if (action === 'free') image.free()
  if (action === 'collect') globalThis.gc()
  // A thread that is in native code ends when that returns.
  leave.value = 1
  await ended
}

/** Everything still works in this thread. */
function checkLife(memory, externals) {
  const image = memory.link(readFileSync(process.argv[2]), { externals })
  const call = image.function('call_it', { return: 'int32', arguments: [next, 'int32'] })
  assert.equal(
    call(value => value + 1, 40),
    42,
  )
  image.free()
}

/** The worker: gets to the point, has it happen, and says how the call ended and how the next one does. */
async function work({ point, action, image: token, words: wordsToken, memory: memoryToken }) {
  const memory = CodeMemory.open(memoryToken)
  const [image, words] = [Image.open(token), Image.open(wordsToken)]
  const [entered, leave] = [words.data('entered', 'int32'), words.data('leave', 'int32')]
  const call = image.function('call_it', { return: 'int32', arguments: ['function', 'int32'] })
  const swap = image.function('turn_it', { return: Pair, arguments: ['function', Pair] })
  const linger = image.function('linger', { return: 'int32' })
  const elsewhere = image.function('call_elsewhere', { return: 'int32', arguments: ['function', 'int32'] })
  let callback
  const happen = () => {
    if (action === 'free') image.free()
    if (action === 'dispose') callback.dispose()
    if (action === 'close') memory.dispose()
    if (action === 'collect') globalThis.gc()
    if (action !== 'terminate') return
    entered.value = 1
    // Until this thread is terminated.
    for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
  }
  const make = inside => memory.callback(next, value => (inside(value), value + 1))
  const inner = make(happen)
  const callees = {
    structure: () => memory.callback(turn, value => (happen(), value)),
    nested: () => make(value => call(inner, value)),
    idle: () => make(() => {}),
    native: () => make(() => {}),
  }
  callback = (callees[point] ?? (() => make(happen)))()
  const ways = {
    idle: () => (happen(), call(callback, 40)),
    native: () => linger(),
    callback: () => call(callback, 40),
    structure: () => Number(swap(callback, pair).first) + 41,
    nested: () => call(callback, 40),
    async: () => {
      const promise = linger.async()
      while (entered.value === 0);
      happen()
      leave.value = 1
      return promise
    },
    foreign: () => elsewhere.async(callback, 40),
  }
  const first = await outcome(ways[point])
  leave.value = 1
  const second = await outcome(() => linger())
  parentPort.postMessage(`${first}, then ${second}`)
}

async function outcome(way) {
  try {
    return String(await way())
  } catch (error) {
    if (error.code === undefined) throw error
    return error.code
  }
}

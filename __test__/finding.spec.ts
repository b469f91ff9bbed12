import test from 'ava'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { CodeMemory, type CodeMemoryOptions, type Published } from '../index.ts'
import { compile } from './helpers/compile.ts'
import type { Fixed } from './helpers/finding.ts'
import { generator } from './helpers/random.ts'

const GRANULE = 16

const three = {
  text: { protection: 'rx', size: 100 },
  table: { protection: 'ro', size: 50 },
  state: { protection: 'rw', size: 10 },
} as const

test('each address of an allocation is found, from its first to its last, and none beside it', t => {
  const memory = new CodeMemory()
  const inFlight = memory.allocate(three)
  const check = () => {
    for (const { address, size, protection } of [inFlight.text, inFlight.table, inFlight.state]) {
      const whole = Math.ceil(size / GRANULE) * GRANULE
      for (let offset = 0; offset < whole; offset++) {
        t.deepEqual(memory.find(address + BigInt(offset)), { address, size: whole, protection })
      }
      t.is(memory.find(address - 1n), undefined)
      t.is(memory.find(address + BigInt(whole)), undefined)
    }
  }
  check()
  const allocation = inFlight.finalize()
  check()
  allocation.free()
  for (const { address } of [inFlight.text, inFlight.table, inFlight.state]) t.is(memory.find(address), undefined)
})

test('sections of one protection are found as one', t => {
  const memory = new CodeMemory()
  const { first, second } = memory.allocate({
    first: { protection: 'rx', size: 30 },
    second: { protection: 'rx', size: 30 },
  })
  t.deepEqual(memory.find(second.address), { address: first.address, size: 64, protection: 'rx' })
  second.shrink(1)
  t.deepEqual(memory.find(second.address), { address: first.address, size: 48, protection: 'rx' })
})

test('addresses of linked code and data are found, and foreign ones are not', t => {
  const memory = new CodeMemory()
  const image = memory.link(compile('int count; int f(void) { return ++count; }'))
  t.is(memory.find(image.address('f') + 1n)?.protection, 'rx')
  t.is(memory.find(image.address('count'))?.protection, 'rw')
  t.is(new CodeMemory().find(image.address('f')), undefined)
  for (const foreign of [0, 0x1000, 0n, 2n ** 64n - 1n]) t.is(memory.find(foreign), undefined)
  const address = image.address('f')
  image.free()
  t.is(memory.find(address), undefined)
})

test('constants that lie with code are found as code', t => {
  const memory = new CodeMemory({ constants: 'with-code' })
  const { table } = memory.allocate(three)
  t.is(memory.find(table.address)?.protection, 'rx')
})

const variants: Record<string, CodeMemoryOptions> = {
  'in one block': {},
  'in blocks that come and go': { blockSize: 4 * CodeMemory.capabilities().granularity },
}

for (const [title, options] of Object.entries(variants)) {
  test(`a worker finds what stays while this thread allocates and frees, ${title}`, async t => {
    const memory = new CodeMemory(options)
    const live: (Published<'text'> | undefined)[] = Array.from({ length: 400 }, () => place(memory, 200))
    const staying = Array.from({ length: 20 }, () => place(memory, 300))
    const fixed = staying.map(({ text: { address, size } }): Fixed => ({ address, size }))
    const addresses = live.flatMap(allocation => allocation?.text.address ?? [])
    const changing = { first: min(addresses), last: max(addresses) }
    const words = new Int32Array(new SharedArrayBuffer(12))
    const worker = new Worker(new URL('helpers/finding.ts', import.meta.url), {
      workerData: { token: memory.share(), fixed, changing, words },
    })
    const done = once(worker, 'message') as Promise<[unknown]>
    const random = generator(3)
    while (Atomics.load(words, 0) < 50_000) {
      for (let round = 0; round < 200; round++) churn(memory, live, random)
      await new Promise(resolve => setImmediate(resolve))
    }
    Atomics.store(words, 1, 1)
    t.deepEqual((await done)[0], { wrong: 0 })
    t.true(Atomics.load(words, 2) > 0, 'it has found what comes and goes, too')
    // Allocations without a reference are collected; this also keeps it until here.
    for (const allocation of staying) allocation.free()
    await worker.terminate()
  })
}

function place(memory: CodeMemory, size: number): Published<'text'> {
  return memory.allocate({ text: { protection: 'rx', size } }).finalize()
}

/** Frees one of them, or puts another one in the place of one that was freed. */
function churn(memory: CodeMemory, live: (Published<'text'> | undefined)[], random: () => number): void {
  const index = Math.floor(random() * live.length)
  const one = live[index]
  one?.free()
  live[index] = one ? undefined : place(memory, 1 + Math.floor(random() * 400))
}

const min = (numbers: readonly bigint[]) => numbers.reduce((least, number) => (number < least ? number : least))
const max = (numbers: readonly bigint[]) => numbers.reduce((most, number) => (number > most ? number : most))

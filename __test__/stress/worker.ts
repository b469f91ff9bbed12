/**
 * One thread of the stress: it places, links, calls, checks, frees and forgets at random in all memories, until it is told to stop or
 * is terminated in the middle of anything.
 */

import { parentPort, workerData } from 'node:worker_threads'
import { CodeMemory, CodeslabError, Image } from '../../index.ts'
import { generator, pick } from '../helpers/random.ts'
import { begin, lookingWith, publish, type Made, type Pending } from './model.ts'
import { shared, type Orders } from './orders.ts'

const { seed, memories, looking: image, object, shared: numbers } = workerData as Orders
const random = generator(seed)
const looking = lookingWith(Image.open(image))
const most = 60

/** One memory as this thread sees it. */
interface Room {
  readonly memory: CodeMemory
  readonly made: Made[]
  readonly pending: Pending[]
}

const rooms = memories.map((token): Room => ({ memory: CodeMemory.open(token), made: [], pending: [] }))
/** What may be refused, in the memory that has budgets. */
const expected = ['ERR_CODESLAB_COMMIT_BUDGET', 'ERR_CODESLAB_MAPPING_BUDGET']

function expect(nothing: string | undefined): void {
  if (nothing !== undefined) throw new Error(nothing)
}

function size(largest: number): number {
  return 8 + Math.floor(random() ** 4 * largest)
}

function takeOne<T>(list: T[]): T | undefined {
  return list.splice(Math.floor(random() * list.length), 1)[0]
}

/** Everything that a user can do to a memory, each with how often it is done. */
const actions: readonly [number, (room: Room) => void][] = [
  [30, place],
  [20, finish],
  [6, finishAll],
  [4, ({ pending }) => void takeOne(pending)?.inFlight.abandon()],
  [30, look],
  [25, ({ made }) => void takeOne(made)?.free()],
  // Collected some time, or when this thread ends.
  [5, ({ made, pending }) => (takeOne(made), takeOne(pending))],
  [4, link],
  [1, ({ memory }) => memory.stats()],
  [0.2, trim],
  [0.2, ({ memory }) => memory.layout()],
  [0.1, collect],
  [0.02, fork],
]

function place({ memory, pending, made }: Room): void {
  if (pending.length + made.length >= most) return
  // Code that returns a number takes up to 12 bytes.
  const sizes = { code: 12 + size(40_000), table: size(2000), state: size(2000) }
  pending.push(begin(memory, Math.floor(random() * 2 ** 31), sizes, random() < 0.2))
}

function finish({ memory, pending, made }: Room): void {
  const one = takeOne(pending)
  if (one !== undefined) made.push(publish(one, memory, looking))
}

function look({ made }: Room): void {
  if (made.length > 0) expect(pick(random, made).check())
}

function fork({ made }: Room): void {
  if (made.length > 0) expect(pick(random, made).checkInChild())
}

function trim({ memory }: Room): void {
  memory.trim()
}

function collect(): void {
  globalThis.gc?.()
}

function finishAll(room: Room): void {
  while (room.pending.length > 0) finish(room)
}

function link({ memory, made }: Room): void {
  const image = memory.link({ name: 'helper.o', bytes: object })
  const itself = lookingWith(image)
  const text = image.address('hash')
  const sum = looking.hash(text, 64)
  const check = () => (itself.hash(text, 64) === sum ? undefined : 'linked code has changed')
  made.push({
    check,
    checkInChild: () => undefined,
    free: () => {
      image.free()
    },
  })
}

function step(): void {
  const total = actions.reduce((sum, [weight]) => sum + weight, 0)
  let rest = random() * total
  const [, action] = actions.find(([weight]) => (rest -= weight) < 0) ?? actions[0] ?? [0, () => undefined]
  try {
    action(pick(random, rooms))
  } catch (error) {
    if (!(error instanceof CodeslabError && expected.includes(error.code))) throw error
    Atomics.add(numbers, shared.refused, 1)
  }
  Atomics.add(numbers, shared.steps, 1)
}

step()
parentPort?.postMessage('it works')
while (Atomics.load(numbers, shared.stop) === 0) step()
for (const { made } of rooms) {
  for (const one of made) expect(one.check())
  // Half is given back, the rest left to the end of this thread.
  for (const one of made) if (random() < 0.5) one.free()
}

/** What one thread made in one memory, what it must hold, and whether it does. */

import type { CodeMemory, Image, InFlight } from '../../index.ts'
import { answer, nullary } from '../helpers/machine-code.ts'

/** Native code that looks at memory: see helper.c. */
export interface Looking {
  hash: (bytes: bigint, size: number) => number
  fill: (bytes: bigint, size: number, value: number) => void
  lookInChild: (code: bigint, expected: number, bytes: bigint, size: number, sum: number) => number
}

export function lookingWith(image: Image): Looking {
  return {
    hash: image.function('hash', { return: 'uint32', arguments: ['uint64', 'uint64'] }),
    fill: image.function('fill', { arguments: ['uint64', 'uint64', 'uint32'] }),
    lookInChild: image.function('look_in_child', {
      return: 'int32',
      arguments: ['uint64', 'uint32', 'uint64', 'uint64', 'uint32'],
    }),
  }
}

/** Something that was published, with what it must hold. */
export interface Made {
  /** What is wrong, or nothing. */
  check: () => string | undefined
  /** The same, in a forked child. */
  checkInChild: () => string | undefined
  free: () => void
}

/** The sections of which a request of the stress consists. */
type Names = 'code' | 'table' | 'state'

export interface Sizes {
  readonly code: number
  readonly table: number
  readonly state: number
}

/** What a request holds: code that returns the value, bytes that follow from it. */
export interface Pending {
  readonly inFlight: InFlight<Names>
  readonly value: number
  readonly sizes: Sizes
}

/** The bytes that `fill` writes, which constants hold as well. */
function pattern(size: number, value: number): Uint8Array {
  const bytes = new Uint8Array(size)
  for (let index = 0; index < size; index++) bytes[index] = value + index
  return bytes
}

/** What `hash` returns for bytes. */
function hashOf(bytes: Uint8Array): number {
  let sum = 2166136261
  for (const byte of bytes) sum = Math.imul(sum ^ byte, 16777619)
  return sum >>> 0
}

/** Places a request and writes it. The code may be shrunk to what it needs. */
export function begin(memory: CodeMemory, value: number, sizes: Sizes, isShrunk: boolean): Pending {
  const inFlight = memory.allocate({
    code: { protection: 'rx', size: sizes.code },
    table: { protection: 'ro', bytes: pattern(sizes.table, value) },
    state: { protection: 'rw', size: sizes.state },
  })
  const code = answer(value)
  inFlight.code.write(code)
  if (isShrunk) inFlight.code.shrink(code.length)
  return { inFlight, value, sizes }
}

/** Publishes what is in flight, and knows from now on what has to be there. */
export function publish({ inFlight, value, sizes }: Pending, memory: CodeMemory, looking: Looking): Made {
  const allocation = inFlight.finalize()
  const call = allocation.code.function(nullary)
  const [code, table, state] = [allocation.code.address, allocation.table.address, allocation.state.address]
  const constants = hashOf(pattern(sizes.table, value))
  let data = hashOf(new Uint8Array(sizes.state))
  let rounds = 0
  const check = (): string | undefined => {
    if (call() !== value) return `the code at ${code.toString(16)} is not what returns ${value}`
    if (looking.hash(table, sizes.table) !== constants) return `the constants at ${table.toString(16)} have changed`
    if (looking.hash(state, sizes.state) !== data) return `the data at ${state.toString(16)} has changed`
    if (memory.find(code + 5n)?.address !== code) return `the code at ${code.toString(16)} is not found`
    rounds++
    looking.fill(state, sizes.state, value + rounds)
    data = hashOf(pattern(sizes.state, value + rounds))
    return undefined
  }
  const checkInChild = () => {
    const status = looking.lookInChild(code, value, table, sizes.table, constants)
    return status === 0 ? undefined : `a forked child ended with ${status} at ${code.toString(16)}`
  }
  return {
    check,
    checkInChild,
    free: () => {
      allocation.free()
    },
  }
}

/**
 * What a fast call of V8 costs at least: the code of a row as its C function, with nothing of codeslab's around it. Its arguments begin
 * in the second register, behind the receiver, so the code is another.
 *
 * `bench/floor.c` makes the function. V8 is told of its types as it is of those of codeslab's (crates/codeslab-node/src/v8).
 */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { versions } from 'node:process'
import type { CodeMemory } from 'codeslab'

/** Members of `CTypeInfo::Type`. */
const TYPES = { void: 0, int32: 3, uint64: 6, double: 8, value: 10 } as const

export type FloorType = Exclude<keyof typeof TYPES, 'value'>

/** Where the list of types begins in the data. */
const LIST = 64

/** Compiles `bench/floor.c`; the path of the object. */
export function compileFloor(): string {
  const object = join(mkdtempSync(join(tmpdir(), 'codeslab-floor-')), 'floor.o')
  const source = join(import.meta.dirname, 'floor.c')
  const { status } = spawnSync('cc', ['-O2', '-c', source, '-o', object], { stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0) throw new Error('the C compiler refused floor.c')
  return object
}

export interface Floor {
  /** The function. */
  call: (...values: never[]) => unknown
  /** How often it was called by code that was not compiled, which does not run the code of the row. */
  countSlow: () => number
}

/** The function whose code is at `target`, made by an object that {@link compileFloor} made. */
export function floor(memory: CodeMemory, object: string, target: bigint, types: FloorType[]): Floor {
  const image = memory.link(readFileSync(object))
  const { info } = memory.allocate({ info: { protection: 'rw', size: 2 * LIST } }).finalize()
  info.write(describe(types, info.address))
  const name = 'codeslab floor'
  image.function('make', { arguments: ['string', 'pointer', 'pointer'] })(name, target, info.address)
  const holder = globalThis as unknown as Record<string, Floor['call']>
  const { [name]: call } = holder
  if (call === undefined) throw new Error('V8 made no function')
  const countSlow = image.function('count_slow', { return: 'int64' })
  return { call, countSlow: () => Number(countSlow()) }
}

/** A `CFunctionInfo`, and the list of the types of arguments behind it; that of the result is the first of `types`. */
function describe([result = 'void', ...parameters]: FloorType[], address: bigint): Uint8Array {
  const major = Number.parseInt(versions.v8)
  const bytesOfType = major >= 14 ? 2 : 3
  const saysHowIntegersCross = major >= 12
  const bytes = new Uint8Array(2 * LIST)
  const view = new DataView(bytes.buffer)
  const list = ['value' as const, ...parameters]
  const count = Math.ceil((bytesOfType + Number(saysHowIntegersCross)) / 4) * 4
  view.setUint8(0, TYPES[result])
  // As bigints.
  if (saysHowIntegersCross) view.setUint8(bytesOfType, 1)
  view.setUint32(count, list.length, true)
  view.setBigUint64(Math.ceil((count + 4) / 8) * 8, address + BigInt(LIST), true)
  for (const [index, type] of list.entries()) view.setUint8(LIST + index * bytesOfType, TYPES[type])
  return bytes
}

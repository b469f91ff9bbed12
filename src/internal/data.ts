/** Published data as JavaScript uses it: copies and a live view of a region. `section.ts` and `variable.ts` use this. */

import * as native from '#native'
import { toBytes, toCount, toOffset } from './checks.ts'
import { listen } from './freed.ts'
import { byteLength, makeBytes, part, toText } from './intrinsics.ts'
import { refusal } from './refusal.ts'

type Region = ReturnType<typeof native.sectionData>

/** A region that JavaScript has asked for. No user gets hold of one. */
export class Data {
  readonly region: Region
  /** What errors call it. */
  readonly name: string
  readonly address: bigint
  readonly size: number
  #view: Uint8Array | undefined

  constructor(region: Region, name: string, address: bigint, size: number) {
    this.region = region
    this.name = name
    this.address = address
    this.size = size
  }

  /** A copy of some bytes, of all that follow unless `length` is given. */
  read(offset: unknown, length: unknown): Uint8Array {
    const from = toOffset(offset)
    const rest = from > this.size ? 0 : this.size - from
    const bytes = makeBytes(this.#check(from, length === undefined ? rest : toCount(length, 'length')))
    native.readData(this.region, from, bytes)
    return bytes
  }

  /** Copies so many of its bytes at an offset into others. */
  load(offset: number, into: Uint8Array): void {
    native.readData(this.region, offset, into)
  }

  /** Copies bytes to an offset. */
  store(offset: number, bytes: Uint8Array): void {
    native.writeData(this.region, offset, bytes)
  }

  /** Refuses a length before room is made for that much. */
  #check(offset: number, length: number): number {
    if (offset >= 0 && offset + length <= this.size) return length
    const { name, size } = this
    const message = `${toText(length)} bytes at offset ${toText(offset)} are outside of ${name}, which has ${toText(size)} bytes`
    throw refusal('ERR_CODESLAB_OUT_OF_BOUNDS', message, { data: name, offset, length, size })
  }

  /** Copies bytes to an offset. */
  write(bytes: unknown, offset: unknown): void {
    native.writeData(this.region, toOffset(offset), toBytes(bytes, 'bytes'))
  }

  /** The bytes themselves: the same view each time, until it is detached. */
  view(): Uint8Array {
    if (this.#view !== undefined && byteLength(this.#view) > 0) return this.#view
    listen()
    const buffer = native.viewData(this.region)
    // It begins at a multiple of 8, which is before the first byte of what does not.
    this.#view = part(buffer, byteLength(buffer) - this.size, this.size)
    return this.#view
  }
}

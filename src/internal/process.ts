/** Memory of the process at any address, for `memory.ts`: what is not mapped is an error and no fault. */

import * as native from '#native'
import { toAddress, toCount } from './checks.ts'
import { toHex } from './inspect.ts'
import {
  byteLength,
  copyBytes,
  decodeText,
  indexOfZero,
  makeBytes,
  prefix,
  toBigInt,
  toNumber,
  toText,
} from './intrinsics.ts'
import { refusal } from './refusal.ts'

/** Bytes of a string that are read at once: they end where the next page of the smallest size does. */
const page = 4096

/** A copy of so many bytes. */
export function readAt(address: unknown, length: unknown): Uint8Array {
  const at = toAddress(address, 'address')
  const bytes = makeBytes(toCount(length, 'length'))
  const count = native.readAt(at, bytes)
  if (count === bytes.length) return bytes
  throw unmapped(at + toBigInt(count), at, bytes.length)
}

/** The text from an address up to the next zero byte, which is at most `most` bytes away. */
export function stringAt(address: unknown, most: unknown): string {
  const at = toAddress(address, 'address')
  const limit = toCount(most, 'maxLength')
  let text = makeBytes(0)
  for (;;) {
    const start = at + toBigInt(text.length)
    const left = limit + 1 - text.length
    const rest = page - toNumber(start % toBigInt(page))
    const piece = makeBytes(left < rest ? left : rest)
    const count = native.readAt(start, piece)
    const end = indexOfZero(prefix(piece, count))
    text = joined(text, prefix(piece, end < 0 ? count : end))
    if (end >= 0) return decodeText(text)
    if (count < piece.length) throw unmapped(start + toBigInt(count), at, text.length)
    if (text.length > limit) throw endless(at, limit)
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = makeBytes(byteLength(first) + byteLength(second))
  copyBytes(first, all, 0)
  copyBytes(second, all, byteLength(first))
  return all
}

function unmapped(end: bigint, address: bigint, length: number): Error {
  const message = `nothing is mapped at ${toHex(end)}, so ${toText(length)} bytes at ${toHex(address)} cannot be read`
  return refusal('ERR_CODESLAB_UNMAPPED', message, { address: end, length })
}

function endless(address: bigint, limit: number): Error {
  const message = `there is no zero byte within ${toText(limit)} bytes of ${toHex(address)}: it is no C string, or raise maxLength`
  return refusal('ERR_CODESLAB_OUT_OF_BOUNDS', message, { address, limit })
}

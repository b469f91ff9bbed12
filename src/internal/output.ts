/** Bytes in the format that `crates/codeslab-node/src/graph.rs` reads: they grow while the graph encoder writes them. */

import { asUintN, byteLength, copyBytes, encodeText, makeBytes, prefix, writeDouble, writeWord } from './intrinsics.ts'

/** Bytes that grow. What was not written is zero. */
export class Output {
  #bytes = makeBytes(1024)
  #capacity = 1024
  #length = 0

  byte(value: number): void {
    const at = this.#reserve(1)
    this.#bytes[at] = value
  }

  /** Any count or offset. */
  number(value: number): void {
    const at = this.#reserve(8)
    writeDouble(this.#bytes, at, value)
  }

  /** 64 bits, of either sign. */
  word(value: bigint): void {
    const at = this.#reserve(8)
    writeWord(this.#bytes, at, asUintN(64, value))
  }

  /** How many bytes there are, and a copy of them as they are now. */
  sized(bytes: Uint8Array): void {
    this.number(byteLength(bytes))
    this.raw(bytes)
  }

  /** A copy of bytes as they are now. */
  raw(bytes: Uint8Array): void {
    const at = this.#reserve(byteLength(bytes))
    copyBytes(bytes, this.#bytes, at)
  }

  text(text: string): void {
    this.sized(encodeText(text))
  }

  take(): Uint8Array {
    return prefix(this.#bytes, this.#length)
  }

  /** The offset at which so many bytes can be written. The buffer may be another one afterwards. */
  #reserve(size: number): number {
    const start = this.#length
    const end = start + size
    if (end > this.#capacity) {
      const capacity = end > this.#capacity * 2 ? end : this.#capacity * 2
      const larger = makeBytes(capacity)
      copyBytes(prefix(this.#bytes, start), larger, 0)
      this.#bytes = larger
      this.#capacity = capacity
    }
    this.#length = end
    return start
  }
}

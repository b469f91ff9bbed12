/** Bytes in the format that `crates/codeslab-node/src/graph.rs` reads: they grow while the graph encoder writes them. */

/** Bytes that grow. */
export class Output {
  #bytes = Buffer.allocUnsafe(1024)
  #length = 0

  byte(value: number): void {
    const at = this.#reserve(1)
    this.#bytes.writeUInt8(value, at)
  }

  /** Any count or offset. */
  number(value: number): void {
    const at = this.#reserve(8)
    this.#bytes.writeDoubleLE(value, at)
  }

  /** 64 bits, of either sign. */
  word(value: bigint): void {
    const at = this.#reserve(8)
    this.#bytes.writeBigUInt64LE(BigInt.asUintN(64, value), at)
  }

  sized(bytes: Uint8Array): void {
    this.number(bytes.length)
    const at = this.#reserve(bytes.length)
    this.#bytes.set(bytes, at)
  }

  text(text: string): void {
    const length = Buffer.byteLength(text)
    this.number(length)
    const at = this.#reserve(length)
    this.#bytes.write(text, at)
  }

  take(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** The offset at which so many bytes can be written. The buffer may be another one afterwards. */
  #reserve(size: number): number {
    const start = this.#length
    this.#length += size
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2))
      larger.set(this.#bytes.subarray(0, start))
      this.#bytes = larger
    }
    return start
  }
}

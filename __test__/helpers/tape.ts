/** Decisions that a property test makes, as bytes: a shorter tape, or one with smaller bytes, is a simpler case. */
export class Tape {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Whether there is anything left to decide. */
  get isOver(): boolean {
    return this.#at >= this.#bytes.length
  }

  /** A whole number below a limit of at most 256; 0 at the end. */
  below(limit: number): number {
    return (this.#bytes[this.#at++] ?? 0) % limit
  }

  /** Whether one case in so many is there. */
  isOneIn(count: number): boolean {
    return this.below(count) === count - 1
  }

  /** One of several. */
  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item
  }
}

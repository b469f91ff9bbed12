/** What the main thread of the stress and its workers tell each other. */

/** What the main thread gives a worker. */
export interface Orders {
  readonly seed: number
  /** Tokens of all memories. */
  readonly memories: readonly string[]
  /** The token of the image of helper.c. */
  readonly looking: string
  readonly object: Uint8Array
  /** Three numbers that both threads see, by their index. */
  readonly shared: Int32Array
}

/** What is at which index of the shared numbers: 1 when the worker shall end, steps that it did, requests that a budget refused. */
export const shared = { stop: 0, steps: 1, refused: 2 } as const

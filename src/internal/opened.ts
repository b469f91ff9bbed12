/** Memories that exist already, as the constructor of `CodeMemory` is told of them. `CodeMemory.open` uses this. */

import type { openMemory } from '#native'

type NativeHandle = ReturnType<typeof openMemory>

/** The handle of a memory that exists, in the place of options. No user gets hold of one. */
export class Opened {
  readonly #handle: NativeHandle

  constructor(handle: NativeHandle) {
    this.#handle = handle
  }

  /** The handle in it; `undefined` for anything else. */
  static handleOf(value: unknown): NativeHandle | undefined {
    return typeof value === 'object' && value !== null && #handle in value ? value.#handle : undefined
  }
}

/** Images among other values. `Image` says how its handle is read, and links ask: they stand below it. */

import type { NativeInputs } from '#native'

type CodeHandle = NativeInputs['images'][number]

let read: (value: unknown) => CodeHandle | undefined = () => undefined

/** The handle of an image; `undefined` for anything else. */
export function imageHandleOf(value: unknown): CodeHandle | undefined {
  return read(value)
}

/** Says how the handle of an image is read. */
export function readImagesBy(reader: (value: unknown) => CodeHandle | undefined): void {
  read = reader
}

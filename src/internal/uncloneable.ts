/**
 * Keeps handles from being cloned: `structuredClone` and `postMessage` would make an empty object of one, without a word.
 *
 * Node can do that from 22.10 on. Older ones clone to `{}` as before. Handles have `share()` instead.
 */

import * as threads from 'node:worker_threads'

const mark = (threads as { markAsUncloneable?: (value: object) => void }).markAsUncloneable

/** Has attempts to clone an object throw. */
export function markAsUncloneable(value: object): void {
  mark?.(value)
}

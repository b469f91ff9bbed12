/** Waiting for what another process does. */

import { setTimeout } from 'node:timers/promises'

/** Whether something becomes true within a time that only a broken program needs. */
export async function eventually(isTrue: () => boolean, milliseconds = 30_000): Promise<boolean> {
  const end = Date.now() + milliseconds
  while (!isTrue()) {
    if (Date.now() > end) return false
    await setTimeout(10)
  }
  return true
}

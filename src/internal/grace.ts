/**
 * Waits for grace periods: for calls that are running, in any thread, to return.
 *
 * Native code knows when one is over if it looks, so somebody has to have it look. `slot.ts` does while something waits that nobody asks
 * for, without keeping the process from ending; `memory.ts` does for promises.
 */

import * as native from '#native'
import { setImmediate, setTimeout } from 'node:timers'

/** Milliseconds between two looks, at first and at most. */
const soon = 1
const late = 64

/** So many times it is looked in each turn of the event loop before there are pauses. */
const turns = 32

let isPlanned = false

/** Has what was replaced be let go of in time. */
export function settleLater(pause = soon): void {
  if (isPlanned) return
  isPlanned = true
  setTimeout(() => {
    isPlanned = false
    if (native.pollGrace()) settleLater(pause * 2 < late ? pause * 2 : late)
  }, pause).unref()
}

/** Resolves when every call has returned that was running when it was called. */
export function synchronize(memory: Parameters<typeof native.synchronize>[0]): Promise<void> {
  const end = native.synchronize(memory)
  return new Promise(resolve => {
    let looks = 0
    const look = (): void => {
      if (native.isSynchronized(end)) resolve()
      else if (looks++ < turns) setImmediate(look)
      else setTimeout(look, looks < late ? soon : late / 8)
    }
    look()
  })
}

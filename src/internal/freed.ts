/**
 * Tells threads that something was freed of which they may have live views.
 *
 * Freeing detaches the views of the thread that frees. Others have to do that themselves, because JavaScript may be using a view at any
 * moment; until they have, the memory stays. A thread with views listens, without being kept from ending by that. What is sent says
 * nothing: each thread asks native code what was freed, so a message of a stranger does no harm.
 */

import { BroadcastChannel } from 'node:worker_threads'
import * as native from '#native'

const name = 'codeslab:freed'

let channel: BroadcastChannel | undefined

/** Has this thread detach its views of what others free. */
export function listen(): void {
  if (channel !== undefined) return
  channel = open()
  channel.onmessage = native.detachFreed
}

/** Has the other threads detach their views of what was freed. */
export function announce(): void {
  const sender = channel ?? open()
  sender.postMessage(undefined)
  if (sender !== channel) sender.close()
}

function open(): BroadcastChannel {
  const opened = new BroadcastChannel(name)
  opened.unref()
  return opened
}

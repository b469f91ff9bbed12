/** Values as a hostile program makes them: what changes while it is read, and what is not what it says it is. */

import { types } from 'node:util'
import { runInNewContext } from 'node:vm'

/** The buffer that bytes really have. */
function bufferOf(bytes: ArrayBufferView): ArrayBuffer {
  const getters = [Uint8Array.prototype, DataView.prototype].map(prototype => {
    const owner = 'getInt8' in prototype ? prototype : (Object.getPrototypeOf(prototype) as object)
    return Object.getOwnPropertyDescriptor(owner, 'buffer') as { get: () => ArrayBuffer }
  })
  const getter = getters[types.isDataView(bytes) ? 1 : 0] as { get: () => ArrayBuffer }
  return Reflect.apply(getter.get, bytes, [])
}

/** Detaches the buffer of bytes, if it is not detached and can be: the one that small `Buffer`s share cannot. */
export function detach(bytes: ArrayBufferView): void {
  try {
    structuredClone(undefined, { transfer: [bufferOf(bytes)] })
  } catch (error) {
    if (!(error instanceof DOMException)) throw error
  }
}

/** Bytes whose buffer can become shorter, or longer. */
export function resizable(bytes: Uint8Array): { view: Uint8Array; resize: (size: number) => void } {
  const buffer = Reflect.construct(ArrayBuffer, [bytes.length, { maxByteLength: 4096 }]) as ArrayBuffer & {
    resize: (size: number) => void
  }
  const view = new Uint8Array(buffer)
  view.set(bytes)
  return {
    view,
    resize: size => {
      buffer.resize(size)
    },
  }
}

/** Evaluates code where `Uint8Array`, `Array` and all the rest are others. */
export function elsewhere(code: string): unknown {
  return runInNewContext(code, {})
}

/** Says of itself what it likes. */
export class Liar extends Uint8Array {
  override get length(): number {
    return 4096
  }
  override get byteLength(): number {
    return 4096
  }
  override get byteOffset(): number {
    return 1 << 20
  }
  override get buffer(): ArrayBuffer {
    return new ArrayBuffer(4096)
  }
  static get [Symbol.species](): typeof Liar {
    throw new Error('nothing is asked of species')
  }
}

/** The code of what an action throws. */
export function codeOf(action: () => unknown): string {
  try {
    action()
    return 'nothing'
  } catch (error) {
    return String((error as { code?: unknown }).code)
  }
}

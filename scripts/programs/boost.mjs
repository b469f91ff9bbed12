// Boost.Serialization: types that register themselves when the image starts, and exceptions of the library's own.

import { Buffer } from 'node:buffer'

/** @type {import('./toolkit.mjs').Program} */
export const program = {
  title: 'Boost.Serialization',
  archives: ['libboost_serialization.a'],
  package: 'libboost-serialization-dev',
  run({ archive, compile, equal, link }) {
    const inputs = () => [compile('boost.cpp', '-std=c++17'), archive('libboost_serialization.a')]
    // Twice: each image has a registry of its own.
    for (const side of [3, 5]) {
      const image = link(inputs())
      const out = Buffer.alloc(256)
      const call = image.function('round_trip', { return: 'int32', arguments: ['int32', 'pointer', 'uint32'] })
      const said = out.toString('latin1', 0, call(side, out, out.length))
      equal(said, `${side * side} ${side * 2} ${side * side} shared unsupported version`)
      image.free()
    }
  },
}

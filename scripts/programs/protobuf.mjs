// Protocol Buffers: descriptors that register themselves when the image starts, arenas per thread.

import { Buffer } from 'node:buffer'

/** @type {import('./toolkit.mjs').Program} */
export const program = {
  title: 'Protocol Buffers',
  archives: ['libprotobuf.a'],
  package: 'libprotobuf-dev',
  run({ archive, compile, equal, link }) {
    const image = link([compile('protobuf.cpp', '-std=c++17'), archive('libprotobuf.a')], ['libz.a'])
    const out = Buffer.alloc(256)
    const call = image.function('round_trip', { return: 'int32', arguments: ['int32', 'pointer', 'uint32'] })
    const said = out.toString('latin1', 0, call(300, out, out.length))
    equal(said, '13 {"number":300,"words":["one","two"]} number: 300 words: "one" words: "two" refused')
    image.free()
  },
}

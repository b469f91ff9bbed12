// libuv: a second one beside Node's, with threads of its own.

import { Buffer } from 'node:buffer'

/** @type {import('./toolkit.mjs').Program} */
export const program = {
  title: 'libuv',
  archives: ['libuv_a.a'],
  package: 'libuv1-dev',
  run({ archive, compile, equal, link }) {
    const image = link([compile('libuv.c'), archive('libuv_a.a')])
    const out = Buffer.alloc(256)
    const run = image.function('run_loop', { return: 'int32', arguments: ['pointer', 'uint32'] })
    const said = out.toString('latin1', 0, run(out, out.length))
    equal(said, '3 ticks, 2002000 worked, 5 rounds, hello, read, 0 0, no such file or directory')
    image.free()
  },
}

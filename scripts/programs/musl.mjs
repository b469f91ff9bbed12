// musl's C library, all of it, in a process with another one.

import { Buffer } from 'node:buffer'

const folders = { x64: 'x86_64-linux-musl' }
const folder = folders[/** @type {keyof typeof folders} */ (process.arch)] ?? 'none'

/** @type {import('./toolkit.mjs').Program} */
export const program = {
  title: "musl's libc",
  archives: [`/usr/lib/${folder}/libc.a`],
  package: 'musl-dev',
  run({ archive, compile, equal, link }) {
    const flags = ['-nostdinc', '-isystem', `/usr/include/${folder}`, '-fno-stack-protector', '-fno-builtin']
    const inputs = [compile('musl.c', ...flags), archive(`/usr/lib/${folder}/libc.a`)]
    const image = link(inputs, ['libgcc.a'], { processSymbols: false })
    const out = Buffer.alloc(512)
    const run = image.function('run', { return: 'int32', arguments: ['pointer', 'uint32'] })
    equal(out.toString('latin1', 0, run(out, out.length)), '1 4 grows 1 002.2|7   |ff 3 2524 0x1.8p-1')
    image.free()
  },
}

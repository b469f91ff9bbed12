// A static library of Rust's, with all of std in it.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Buffer } from 'node:buffer'

function build() {
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-programs-'))
  try {
    const library = join(folder, 'libcounting.a')
    const source = join(import.meta.dirname, 'rust.rs')
    execFileSync('rustc', [
      '--edition=2024',
      '-O',
      '--crate-name=counting',
      '--crate-type=staticlib',
      source,
      '-o',
      library,
    ])
    return readFileSync(library)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** @type {import('./toolkit.mjs').Program} */
export const program = {
  title: "Rust's std",
  archives: [],
  package: 'rustc',
  lacks: () => (spawnSync('rustc', ['--version']).status === 0 ? undefined : 'rustc'),
  run({ equal, link }) {
    const image = link([{ name: 'libcounting.a', bytes: build() }], ['libgcc_s.so.1'])
    const out = Buffer.alloc(512)
    const count = image.function('count_words', { return: 'uint64', arguments: ['string', 'pointer', 'uint64'] })
    const said = out.toString('utf8', 0, Number(count('to be or not to be', out, out.length)))
    equal(said, '13 {"be": 2, "not": 1, "or": 1, "to": 2} 1.414 index out of bounds: the len is 0 but the index is 13')
    image.free()
  },
}

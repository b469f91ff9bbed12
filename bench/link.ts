/** Links an archive through the Node module, again and again: `node bench/link.ts ARCHIVE REPETITIONS`. */

import { readFileSync } from 'node:fs'
import { CodeMemory } from 'codeslab'
import { median, print } from './measure.ts'

const [path = '', repetitions = ''] = process.argv.slice(2)
const archive = readFileSync(path)
const objects = objectCount(archive)
const memory = new CodeMemory()
const times: number[] = []
for (let count = 0; count < Number(repetitions); count++) {
  const start = performance.now()
  const image = memory.link(archive)
  times.push(performance.now() - start)
  image.free()
}
print({ objects: objects * times.length, failed: 0, us_per_object: (median(times) * 1000) / objects })

/** ELF members of an `ar` archive. */
function objectCount(bytes: Buffer): number {
  let count = 0
  for (let at = 8; at + 60 <= bytes.length;) {
    const size = Number(bytes.toString('latin1', at + 48, at + 58))
    if (bytes.readUInt32LE(at + 60) === 0x464c457f) count++
    at += 60 + size + (size % 2)
  }
  return count
}

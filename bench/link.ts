/** Links an archive through the Node module, again and again: `node bench/link.ts ARCHIVE REPETITIONS`. */

import { readFileSync } from 'node:fs'
import { CodeMemory } from 'codeslab'
import { objects } from './archive.ts'
import { median, print } from './measure.ts'

const [path = '', repetitions = ''] = process.argv.slice(2)
const archive = readFileSync(path)
const count = [...objects(archive, path)].length
const memory = new CodeMemory()
const times: number[] = []
for (let repetition = 0; repetition < Number(repetitions); repetition++) {
  const start = performance.now()
  const image = memory.link(archive)
  times.push(performance.now() - start)
  image.free()
}
print({ objects: count * times.length, failed: 0, us_per_object: (median(times) * 1000) / count })

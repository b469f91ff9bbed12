/**
 * What it costs to make functions from JavaScript: `node bench/making.ts ROW COUNT`. One life is one object, and the time is that of
 * the fastest of many short rounds, as in bench/call.ts.
 */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CodeMemory } from 'codeslab'
import { print } from './measure.ts'

const ROUNDS = 50

const [, , row = '', count = '200000'] = process.argv
const memory = new CodeMemory()
// lea eax, [rdi + rsi]; ret
const code = new Uint8Array(64).fill(0xcc)
code.set([0x8d, 0x04, 0x37, 0xc3])
const sections = { text: { protection: 'rx', size: 64 } } as const
const signature = { return: 'int32', arguments: ['int32', 'int32'] } as const

const object = row === 'link' ? compile('int add(int a, int b) { return a + b; }') : new Uint8Array()

const rows: Record<string, () => void> = {
  write: () => {
    const inFlight = memory.allocate(sections)
    inFlight.text.write(code)
    inFlight.finalize().free()
  },
  publish: () => {
    memory.publish({ text: { protection: 'rx', bytes: code } }).free()
  },
  call: () => {
    const inFlight = memory.allocate(sections)
    inFlight.text.write(code)
    const allocation = inFlight.finalize()
    if (allocation.text.function(signature)(40, 2) !== 42) throw new Error('40 + 2 is 42')
    allocation.free()
  },
  'publish-call': () => {
    const allocation = memory.publish({ text: { protection: 'rx', bytes: code } })
    if (allocation.text.function(signature)(40, 2) !== 42) throw new Error('40 + 2 is 42')
    allocation.free()
  },
  link: () => {
    const image = memory.link(object)
    image.free()
  },
}

const life = rows[row]
if (life === undefined) throw new RangeError(`no ${row} among ${Object.keys(rows).join(', ')}`)
const each = Math.ceil(Number(count) / ROUNDS)
let best = Infinity
for (let round = 0; round < ROUNDS; round++) {
  const start = performance.now()
  for (let index = 0; index < each; index++) life()
  // Finalizers run when the event loop turns, and belong to what was made.
  await new Promise(resolve => setImmediate(resolve))
  best = Math.min(best, ((performance.now() - start) * 1000) / each)
}
print({ objects: Number(count), failed: 0, us_per_object: best })

/** An object of one function, by the C compiler of this machine. */
function compile(source: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-bench-'))
  try {
    const path = join(folder, 'one.o')
    execFileSync('cc', ['-O2', '-c', '-x', 'c', '-', '-o', path], { input: source })
    return readFileSync(path)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

import test from 'ava'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { supportedNodes } from '../scripts/nodes.mjs'
import { compileFixture } from './helpers/compile.ts'
import { isAlone, testWith } from './helpers/exceptions.ts'

const folder = mkdtempSync(join(tmpdir(), 'codeslab-fast-'))
const object = join(folder, 'fast.o')
const words = join(folder, 'words.o')
writeFileSync(object, compileFixture('fast.c'))
writeFileSync(words, compileFixture('words.c'))
test.after.always(() => {
  rmSync(folder, { recursive: true })
})

const others = isAlone ? {} : supportedNodes()
const nodes: Record<string, string> = { 'that runs the tests': process.execPath, ...others }

/** How functions call, and the switch for it. */
const ways = { 'by V8': '1', 'by Node-API': '0' }

const start = promisify(execFile)
const program = (name: string) => join(import.meta.dirname, 'programs', `${name}.mjs`)

for (const [name, node] of Object.entries(nodes)) {
  for (const [way, value] of Object.entries(ways)) {
    const env = { ...process.env, NODE_OPTIONS: '', CODESLAB_FAST_CALLS: value }
    const flags = ['--no-warnings', '--allow-natives-syntax']

    testWith(value === '1' ? 'fastCalls' : undefined)(
      `calls ${way} keep their promises in optimized code, on the Node ${name}`,
      async t => {
        await t.notThrowsAsync(start(node, [...flags, program('fast-calls'), object, words], { env }))
      },
    )

    test(`code that a worker is in is freed when the call returns, ${way}, on the Node ${name}`, async t => {
      await t.notThrowsAsync(start(node, [...flags, program('free-during-fast-call'), object, words], { env }))
    })
  }
}

for (const major of isAlone ? [] : ['20', '22', '24', '26']) {
  if (nodes[major] !== undefined) continue
  test.skip(`Node ${major}: it is not installed (node scripts/nodes.mjs)`, () => undefined)
}

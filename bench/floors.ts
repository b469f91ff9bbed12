/**
 * Calls of numbers beside the least that V8 lets one cost, on each Node that is supported and here: `node bench/floors.ts - CALLS [MAJOR…]`
 * (`node scripts/nodes.mjs` fetches them; what runs this is Node 24 or later). Nanoseconds for each row and callee of bench/callee.ts: the
 * medians of several turns, in which the callees alternate.
 *
 * Node 20 does not remove types by itself, so the programs are translated first, into a folder of this package.
 */

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { supportedNodes } from '../scripts/nodes.mjs'
import { compileFloor } from './floor.ts'
import { median, type Report } from './measure.ts'

const TURNS = 5

const ROWS = ['int32', 'double', 'count', 'uint64']

const CALLEES = ['floor', 'codeslab', 'wasm', 'koffi']

const [, , , calls = '10000000', ...majors] = process.argv
const folder = join(dirname(import.meta.dirname), 'target', 'floors')

/** Puts the programs where every Node can run them. */
function translate(): string {
  mkdirSync(folder, { recursive: true })
  for (const name of ['callee', 'floor', 'measure']) {
    const { outputText } = ts.transpileModule(readFileSync(join(import.meta.dirname, `${name}.ts`), 'utf8'), {
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2023,
        rewriteRelativeImportExtensions: true,
      },
    })
    writeFileSync(join(folder, `${name}.js`), outputText)
  }
  return join(folder, 'callee.js')
}

/** Nanoseconds of a call; `undefined` where there is no such callee, or this Node has no such calls. */
function time(node: string, parameters: string[]): number | undefined {
  const env = { ...process.env, NODE_OPTIONS: '' }
  const { status, stdout } = spawnSync(node, ['--no-warnings', ...parameters], {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return status === 0 ? (JSON.parse(stdout) as Report).us_per_object * 1000 : undefined
}

const program = translate()
const object = compileFloor()
console.log(
  ['Node', 'row', ...CALLEES].map((heading, index) => (index < 2 ? heading.padEnd(8) : heading.padStart(9))).join(''),
)
for (const [major, node] of Object.entries(supportedNodes())) {
  if (majors.length > 0 && !majors.includes(major)) continue
  for (const row of ROWS) {
    // V8 11.3 ends the process where a 64-bit integer is declared.
    const callees = CALLEES.filter(callee => callee !== 'floor' || row !== 'uint64' || Number(major) > 20)
    const turns = Array.from({ length: TURNS }, () =>
      Object.fromEntries(callees.map(callee => [callee, time(node, [program, row, callee, calls, object])])),
    )
    const figures = CALLEES.map(callee => {
      const all = turns.flatMap(turn => turn[callee] ?? [])
      return (all.length > 0 ? median(all).toFixed(2) : '-').padStart(9)
    })
    console.log([major.padEnd(8), row.padEnd(8), ...figures].join(''))
  }
}
rmSync(folder, { recursive: true })
rmSync(dirname(object), { recursive: true })

/**
 * Calls against what else there is, on the Node that runs this: `node bench/calls.ts - CALLS`. One call is one object; the time is that
 * of `int32 (int32, int32)`. Callees take turns, and the ratios are medians of those of each turn. The least is what V8 lets a call of code
 * cost that nothing protects (bench/floor.ts).
 */

import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { compileFloor } from './floor.ts'
import { median, print, type Report } from './measure.ts'

const TURNS = 5

const calls = process.argv[3] ?? '2000000'

/** Microseconds per call; `undefined` where there is no such callee. */
function time(row: string, callee: string, environment: Record<string, string> = {}): number | undefined {
  return run('callee.ts', [row, callee, calls, object], environment)
}

function run(program: string, parameters: string[], environment: Record<string, string> = {}): number | undefined {
  const path = join(import.meta.dirname, program)
  const env = { ...process.env, NODE_OPTIONS: '', ...environment }
  const args = ['--no-warnings', path, ...parameters]
  const { status, stdout } = spawnSync(process.execPath, args, {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return status === 0 ? (JSON.parse(stdout) as Report).us_per_object : undefined
}

/** The median of what a measurement gives in each turn; nothing if it gave nothing. */
function medianOf(measure: () => number | undefined): number | undefined {
  const all = Array.from({ length: TURNS }, measure).filter(number => number !== undefined)
  return all.length > 0 ? Number(median(all).toFixed(3)) : undefined
}

/** How many times longer one takes than another. */
function ratio(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one / other
}

const object = compileFloor()
const slowly = { CODESLAB_FAST_CALLS: '0' }
const wasm = (row: string) => medianOf(() => ratio(time(row, 'codeslab'), time(row, 'wasm')))
const floor = (row: string) => medianOf(() => ratio(time(row, 'codeslab'), time(row, 'floor')))
const koffi = (row: string) => medianOf(() => ratio(time(row, 'koffi'), time(row, 'codeslab')))

const figures = {
  int32_times_wasm: wasm('int32'),
  double_times_wasm: wasm('double'),
  void_times_wasm: wasm('count'),
  uint64_times_wasm: wasm('uint64'),
  int32_times_least: floor('int32'),
  double_times_least: floor('double'),
  void_times_least: floor('count'),
  int32_faster_than_koffi: koffi('int32'),
  double_faster_than_koffi: koffi('double'),
  void_faster_than_koffi: koffi('count'),
  sort_times_koffi: medianOf(() => ratio(run('sort.ts', ['codeslab', '3']), run('sort.ts', ['koffi', '3']))),
  pointer_times_koffi: medianOf(() => ratio(time('pointer', 'codeslab', slowly), time('pointer', 'koffi'))),
}
rmSync(dirname(object), { recursive: true })
const known = Object.fromEntries(Object.entries(figures).filter(([, figure]) => figure !== undefined))
print({ objects: Number(calls), failed: 0, us_per_object: medianOf(() => time('int32', 'codeslab')) ?? NaN, ...known })

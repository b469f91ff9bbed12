/**
 * Runs the scenarios and prints their medians: `npm run bench -- [options]`
 *
 *     --repetitions N   samples of each scenario (default 7)
 *     --replays N       replays of the trace in one sample (default 20)
 *     --only A,B        these scenarios only, and the floor beside those that replay the trace
 *     --check           fail if a bar is missed or could not be measured; goals are told, but fail nothing
 *
 * Each sample is a process of its own, and the samples of all scenarios take turns: whatever slows the machine down slows all
 * of them. The figures go to bench/results.json as well.
 */

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { median, particulars, type Particulars, type Report } from './measure.ts'
import { choose, FLOOR, type Bar, type Figures, type Scenario, type Settings } from './scenarios.ts'
import { printTable } from './table.ts'

const { values: options } = parseArgs({
  options: {
    repetitions: { type: 'string', default: '7' },
    replays: { type: 'string', default: '20' },
    only: { type: 'string' },
    check: { type: 'boolean', default: false },
    rust: { type: 'string', default: '' },
    llvm: { type: 'string' },
    orc: { type: 'string' },
    libz: { type: 'string' },
    peers: { type: 'boolean', default: false },
  },
})

const root = fileURLToPath(new URL('..', import.meta.url))
const settings: Settings = {
  root,
  node: process.execPath,
  rust: options.rust,
  llvm: options.llvm,
  orc: options.orc,
  libz: options.libz,
  peers: options.peers,
  replays: Number(options.replays),
}

const chosen = choose(options.only)
const results = measure(chosen, Number(options.repetitions))
printTable(results)
writeFileSync(join(root, 'bench/results.json'), `${JSON.stringify(Object.fromEntries(results), null, 2)}\n`)
console.log('\nbench/results.json has these figures.\n')
if (!reportBars(chosen, results) && options.check) process.exitCode = 1

function measure(scenarios: Scenario[], repetitions: number): Map<string, Figures> {
  const samples = new Map<string, Report[]>()
  for (const { name, command } of scenarios) {
    const reason = command(settings)
    if (typeof reason === 'string') console.log(`${name}: left out, ${reason}`)
    else samples.set(name, [])
  }
  for (let repetition = 1; repetition <= repetitions; repetition++) {
    console.log(`sample ${repetition} of ${repetitions}`)
    for (const { name, command } of scenarios) samples.get(name)?.push(sample(command(settings)))
  }
  const floor = samples.get(FLOOR) ?? []
  const replays = scenarios.filter(scenario => scenario.isReplay).map(({ name }) => name)
  const figures = ([name, reports]: [string, Report[]]) =>
    [name, medians(reports, replays.includes(name) ? floor : [])] as const
  return new Map([...samples].map(figures))
}

/** Runs one program; its last line is its report. */
function sample(command: string[] | string): Report {
  const [program = '', ...args] = command
  const { status, signal, stdout } = spawnSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${signal ?? status ?? 'an error'}`)
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Report
}

/** Rounds of `reports` and of `floor`, if they compare, belong together: they ran one after the other. */
function medians(reports: Report[], floor: Report[]): Figures {
  const of = (figure: (report: Report, round: number) => number | undefined) => {
    const numbers = reports.map(figure).filter(number => number !== undefined)
    return numbers.length > 0 ? Number(median(numbers).toFixed(4)) : null
  }
  const names = Object.keys(particulars) as (keyof Particulars)[]
  const more = names.map(name => [name, of(report => report[name])] as const)
  return {
    us_per_object: of(report => report.us_per_object) ?? Number.NaN,
    times_floor: of((report, round) => timesFloor(report, floor[round])),
    // One failure in one sample is a failure.
    failed: Math.max(...reports.map(report => report.failed)),
    memory_per_content: of(report => report.memory_per_content),
    mappings: of(report => report.mappings),
    mappings_per_block: of(({ mappings, blocks }) =>
      mappings !== undefined && blocks ? mappings / blocks : undefined,
    ),
    ...Object.fromEntries(more.filter(([, figure]) => figure !== null)),
  }
}

function timesFloor(report: Report, floor: Report | undefined): number | undefined {
  return floor && report.us_per_object / floor.us_per_object
}

/** Says which bars and goals are met; `false` if a bar is not. */
function reportBars(scenarios: Scenario[], results: Map<string, Figures>): boolean {
  const met = scenarios.flatMap(({ name, bars }) => tell(results.get(name), name, bars, 'bar '))
  scenarios.forEach(({ name, goals = [] }) => tell(results.get(name), name, goals, 'goal'))
  return met.every(Boolean)
}

/** Says which of these are met, in their order; none is by a scenario that did not run. */
function tell(figures: Figures | undefined, name: string, bars: Bar[], kind: string): boolean[] {
  return bars.map(bar => {
    const passes = figures !== undefined && bar.passes(figures)
    const verdict = passes ? 'met    ' : figures ? 'not met' : 'not run'
    console.log(`${kind}  ${verdict}  ${name}: ${bar.text}`)
    return passes
  })
}

import test from 'ava'
import { readFileSync } from 'node:fs'
import { choose, scenarios, type Figures } from './scenarios.ts'

/** What a program reports that measured nothing but the time, and a very short one. */
const nothing: Figures = {
  us_per_object: 0,
  times_floor: null,
  failed: 0,
  memory_per_content: null,
  mappings: null,
  mappings_per_block: null,
}

test('a replay runs beside the floor, so that its bar has something to compare with', t => {
  const names = (only: string) => choose(only).map(({ name }) => name)
  t.deepEqual(names('codeslab'), ['floor', 'codeslab'])
  t.deepEqual(names('codeslab,floor'), ['floor', 'codeslab'])
  t.deepEqual(names('churn'), ['churn'])
})

test('a scenario that does not exist is refused by name, and without names all run', t => {
  t.throws(() => choose('codeslab,churn-3'), { instanceOf: RangeError, message: /^no churn-3 among floor, codeslab, / })
  t.is(choose(undefined), scenarios)
})

test('a bar on a figure that was not measured is not met', t => {
  const failing = scenarios.flatMap(({ name, bars }) =>
    bars.filter(bar => !bar.passes(nothing)).map(bar => `${name}: ${bar.text}`),
  )
  t.deepEqual(failing, [
    'codeslab: at most 1.5 × the floor’s time',
    'codeslab: memory at most 1.15 × content',
    'codeslab: at most 8 mappings per block',
  ])
})

test('each scenario has a name of its own', t => {
  t.is(new Set(scenarios.map(({ name }) => name)).size, scenarios.length)
})

test('each row of figures in the README names the scenarios that make it', t => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const costs = readme.slice(readme.indexOf('## What it costs'), readme.indexOf('## What it does not do'))
  // The last cell of a row: names between backquotes, or nothing in a row that goes on with the one above it.
  const cells = [...costs.matchAll(/^\|.*\| `([a-z0-9,-]+)` +\|$/gm)].flatMap(([, names = '']) => names.split(','))
  const names = cells.filter(cell => cell !== '--only')
  t.deepEqual(
    names.filter(name => !scenarios.some(scenario => scenario.name === name)),
    [],
  )
  t.deepEqual(
    scenarios.map(({ name }) => name).filter(name => !names.includes(name)),
    [],
  )
})

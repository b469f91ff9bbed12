/** The results as a table. */

import { particulars, type Particulars } from './measure.ts'
import { scenarios, type Figures } from './scenarios.ts'

type Column = [heading: string, cell: (figures: Figures) => string]

const columns: Column[] = [
  ['µs/object', ({ us_per_object: time }) => time.toFixed(time < 1 ? 3 : 2)],
  ['× floor', ({ times_floor: times }) => times?.toFixed(2) ?? '-'],
  ['failed', ({ failed }) => failed.toLocaleString('en')],
  ['memory/content', ({ memory_per_content: memory }) => memory?.toFixed(2) ?? '-'],
  ['mappings', ({ mappings }) => mappings?.toLocaleString('en') ?? '-'],
  ['per block', ({ mappings_per_block: mappings }) => mappings?.toFixed(1) ?? '-'],
]

export function printTable(results: Map<string, Figures>): void {
  const rows = scenarios.flatMap(({ name, title }) => {
    const figures = results.get(name)
    return figures ? [[title, ...columns.map(([, cell]) => cell(figures))]] : []
  })
  const table = [['', ...columns.map(([heading]) => heading)], ...rows]
  const widths = (table[0] ?? []).map((_, index) => Math.max(...table.map(row => row[index]?.length ?? 0)))
  console.log()
  for (const row of table) {
    console.log(row.map((cell, index) => pad(cell, widths[index] ?? 0, index)).join('  '))
  }
  for (const { name, title } of scenarios) printParticulars(title, results.get(name))
}

/** What only this scenario has, on a line of its own. */
function printParticulars(title: string, figures: Figures | undefined): void {
  const names = Object.keys(particulars) as (keyof Particulars)[]
  const told = names.flatMap(name => {
    const figure = figures?.[name]
    return figure === undefined ? [] : [`${particulars[name]} ${figure.toLocaleString('en')}`]
  })
  if (told.length > 0) console.log(`${title.trim()}: ${told.join(', ')}`)
}

function pad(cell: string, width: number, index: number): string {
  return index === 0 ? cell.padEnd(width) : cell.padStart(width)
}

/** SECURITY.md, sentence by sentence, and the table in it that names a test for each. */

/** The sentences of prose: without headings of items, tables, code, and the marks of emphasis. */
export function sentencesOf(markdown: string): string[] {
  const prose = markdown.split('\n').filter(line => !line.startsWith('|') && !line.startsWith('#'))
  const items = prose.join('\n').split(/\n\n|\n(?=- )/)
  return items.flatMap(item => {
    const text = item.replace(/^- /, '').replaceAll(/\s+/g, ' ').trim()
    // `**Title.** Sentence.` has a title; `**Words** of a sentence.` does not.
    const untitled = text.replace(/^\*\*[^*]+\.\*\* /, '').replaceAll('**', '')
    return untitled.split(/(?<=[.:]\)?) (?=[A-Z(`])/).filter(Boolean)
  })
}

/** A row: how a sentence begins, and the tests that show it, or why there is none. */
export interface Row {
  readonly begins: string
  readonly tests: readonly string[]
}

/** The rows of the table behind a heading. */
export function rowsOf(markdown: string, heading: string): Row[] {
  const [, table = ''] = markdown.split(`\n${heading}\n`)
  const [own = ''] = table.split('\n## ')
  const lines = own.split('\n').filter(line => line.startsWith('|'))
  return lines.slice(2).map(line => {
    const [, begins = '', tests = ''] = line.split(' | ').map(cell => cell.replace(/^\| | \|$/g, '').trim())
    const cells = line.slice(2, -1).split(' | ')
    return { begins: (cells[0] ?? begins).trim().replace(/ …$/, ''), tests: (cells[1] ?? tests).trim().split(' · ') }
  })
}

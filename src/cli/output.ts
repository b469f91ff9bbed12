/** Text for a terminal: lines that fit, tables, and what is for programs. */

/** Something for people. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** A value for programs: bigints as hexadecimal text, since JSON has none. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? `0x${item.toString(16)}` : item), 2))
}

/** How many columns there are: those of the terminal up to 100, else 80. */
export function columns(): number {
  return process.stdout.isTTY ? Math.max(40, Math.min(100, process.stdout.columns)) : 80
}

/** Whether the terminal shows colours. */
export function hasColors(): boolean {
  return process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === ''
}

/** Text in lines of a width. The first begins behind `start` columns, the others behind an indent. Words are not broken. */
export function wrap(text: string, width: number, indent = '', start = 0): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const room = width - (lines.length > 0 ? indent.length : start)
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  lines.push(line)
  return lines.join(`\n${indent}`)
}

/** Rows of a table: all columns as wide as they need, numbers to the right, and the last one cut at the width. */
export function table(rows: readonly (readonly (string | number)[])[], indent = '  '): string {
  const texts = rows.map(row => row.map(cell => (typeof cell === 'number' ? cell.toLocaleString('en') : cell)))
  const count = Math.max(0, ...texts.map(row => row.length))
  const widths = Array.from({ length: count }, (_, index) => Math.max(0, ...texts.map(row => row[index]?.length ?? 0)))
  const isNumber = (row: number, column: number) => typeof rows[row]?.[column] === 'number'
  const lines = texts.map((row, at) => {
    const cells = row.map((cell, column) => {
      const width = widths[column] ?? 0
      if (isNumber(at, column)) return cell.padStart(width)
      return column === row.length - 1 ? cell : cell.padEnd(width)
    })
    return cut(`${indent}${cells.join('  ')}`, columns())
  })
  return lines.join('\n')
}

/** Text that ends where there is no room. */
export function cut(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text
}

/** A file without its folders, as long as it is known from elsewhere which it is; members of archives stay: `libz.a(crc32.o)`. */
export function baseName(path: string): string {
  return path.replace(/^.*\/(?=[^/]*$)/, '')
}

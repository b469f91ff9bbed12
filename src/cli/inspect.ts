/** `codeslab inspect`: what is in files, what they would need from elsewhere, and what is in the way, by a link that places nothing. */

import { CodeMemory, CodeslabError, lookup, type LinkEstimate, type LinkOptions, type NamedInput } from '../../index.ts'
import { inspectInputs, type Inspected } from '../internal/inspection.ts'
import { toBytesText, toCountText } from '../internal/scale.ts'
import { statuses } from './failure.ts'
import { linkHelp, linkOptions, parse, read, toLinkOptions } from './inputs.ts'
import { baseName, columns, cut, print, printJson, table, wrap } from './output.ts'

export const inspectHelp = `Usage: codeslab inspect [OPTIONS] FILE.o|FILE.a ...

Shows sections, symbols and relocations of objects, what they would need from
elsewhere, and what keeps them from being linked. Nothing is placed, and nothing
runs. An archive gets a line for each member, unless --all is given.

  -a, --all                sections and symbols of every member
      --relocations        each relocation, and not only how many
      --json               everything, for programs${linkHelp}

Exit status: 0 if it would link, 1 if not, 2 for a mistake in the command.

Examples:
  codeslab inspect add.o
  codeslab inspect libz.a --root crc32
  codeslab inspect --json libz.a | jq '.needs[].symbol'`

const options = {
  all: { type: 'boolean', short: 'a' },
  relocations: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  ...linkOptions,
} as const

/** A symbol that comes from elsewhere. */
interface Need {
  readonly symbol: string
  readonly from: 'process' | 'library or linker' | 'nowhere'
  /** The library of the process. */
  readonly library?: string
  /** The object that refers to it. */
  readonly object: string
  /** Whether it may be missing. */
  readonly weak: boolean
}

/** What a link would give. */
type Outcome = { readonly estimate: LinkEstimate } | { readonly refusal: CodeslabError }

/** Runs the command. */
export function inspect(args: readonly string[]): number {
  const { values, positionals } = parse('inspect', args, options)
  if (values.help) {
    print(inspectHelp)
    return statuses.success
  }
  const inputs = read('inspect', positionals)
  const link = toLinkOptions(values)
  const memory = new CodeMemory()
  const objects = inspectInputs(inputs, values.relocations ?? false)
  const outcome = estimate(memory, inputs, link)
  const needs = needsOf(memory, objects, outcome)
  if (values.json) {
    const refusal = 'refusal' in outcome ? { code: outcome.refusal.code, message: outcome.refusal.message } : undefined
    printJson({ objects, needs, ...('refusal' in outcome ? { refusal } : outcome) })
  } else {
    show(objects, needs, outcome, values.all ?? false)
  }
  return 'refusal' in outcome ? statuses.refused : statuses.success
}

function estimate(memory: CodeMemory, inputs: readonly NamedInput[], link: LinkOptions): Outcome {
  try {
    return { estimate: memory.estimate(inputs, link) }
  } catch (error) {
    if (error instanceof CodeslabError) return { refusal: error }
    throw error
  }
}

/** What no object defines. The link itself says what of that is nowhere. */
function needsOf(memory: CodeMemory, objects: readonly Inspected[], outcome: Outcome): Need[] {
  const symbols = objects.flatMap(({ name, symbols: all }) => all.map(symbol => ({ ...symbol, object: name })))
  const defined = new Set(symbols.filter(({ definition }) => definition !== 'undefined').map(({ name }) => name))
  const missing = new Set('refusal' in outcome ? (outcome.refusal.symbols ?? []) : [])
  const needs = new Map<string, Need>()
  for (const { name, object, binding, definition } of symbols) {
    if (definition !== 'undefined' || defined.has(name) || needs.has(name)) continue
    const address = memory.processSymbol(name.replace(/@.*/, ''))
    const library = address === undefined ? undefined : lookup(address)?.object
    const from = missing.has(name) ? 'nowhere' : address === undefined ? 'library or linker' : 'process'
    needs.set(name, {
      symbol: name,
      from,
      object,
      weak: binding === 'weak',
      ...(library === undefined ? {} : { library }),
    })
  }
  return [...needs.values()].sort((one, other) => (one.symbol < other.symbol ? -1 : 1))
}

function show(objects: readonly Inspected[], needs: readonly Need[], outcome: Outcome, isFull: boolean): void {
  if (objects.length === 1 || isFull) for (const object of objects) showObject(object)
  else showMembers(objects)
  showNeeds(needs)
  showRefusals(objects)
  showOutcome(outcome)
}

/** One object in full. */
function showObject({ name, architecture, sections, symbols, relocations, relocationTypes }: Inspected): void {
  print(`${name}${architecture === undefined ? '' : `  (${architecture})`}`)
  if (sections.length > 0) {
    const rows = sections.map(section => {
      const notes = [section.isZeroFilled ? 'zeros' : '', section.isThreadLocal ? 'thread-local' : ''].filter(Boolean)
      return [section.protection, section.size, section.align, section.relocations, [section.name, ...notes].join('  ')]
    })
    print(`\n${table([['IN', 'BYTES', 'ALIGN', 'RELOCATIONS', 'SECTION'], ...rows])}`)
  }
  if (symbols.length > 0) {
    const rows = symbols.map(symbol => {
      const place = symbol.section ?? (symbol.definition === 'undefined' ? 'elsewhere' : symbol.definition)
      return [symbol.binding, symbol.kind === 'unknown' ? '-' : symbol.kind, symbol.size, cut(place, 24), symbol.name]
    })
    print(`\n${table([['SEEN', 'KIND', 'BYTES', 'WHERE', 'SYMBOL'], ...rows])}`)
  }
  if (relocations.length > 0) {
    const rows = relocations.map(({ section, offset, kind, symbol, addend }) => {
      const sum = addend === 0 ? symbol : `${symbol}${addend < 0 ? '-' : '+'}0x${Math.abs(addend).toString(16)}`
      return [`0x${offset.toString(16)}`, kind, cut(section, 20), sum]
    })
    print(`\n${table([['AT', 'RELOCATION', 'SECTION', 'SYMBOL'], ...rows])}`)
  } else if (relocationTypes.length > 0) {
    print(`\n${table([['COUNT', 'RELOCATION'], ...relocationTypes.map(({ kind, count }) => [count, kind])])}`)
  }
  print('')
}

/** A line for each of many objects. */
function showMembers(objects: readonly Inspected[]): void {
  const rows = objects.map(({ name, sections, symbols, refusal }) => {
    const size = (wanted: string) => {
      return sections.filter(({ protection }) => protection === wanted).reduce((sum, section) => sum + section.size, 0)
    }
    const count = (isUndefined: boolean) => {
      return symbols.filter(symbol => (symbol.definition === 'undefined') === isUndefined && symbol.binding !== 'local')
        .length
    }
    const note = refusal === undefined ? baseName(name) : `${baseName(name)}  refused`
    return [size('rx'), size('ro'), size('rw'), count(false), count(true), note]
  })
  print(table([['CODE', 'CONSTANTS', 'DATA', 'DEFINES', 'NEEDS', 'OBJECT'], ...rows], ''))
  print('')
}

function showNeeds(needs: readonly Need[]): void {
  if (needs.length === 0) {
    print('It needs nothing from elsewhere.')
    return
  }
  print(`It needs ${toCountText(needs.length, 'symbol')} from elsewhere:`)
  const order = { nowhere: 0, 'library or linker': 1, process: 2 }
  const sorted = [...needs].sort((one, other) => order[one.from] - order[other.from])
  const rows = sorted.map(({ symbol, from, library, object, weak }) => {
    const found = from === 'nowhere' ? 'NOWHERE' : (library?.split('/').at(-1) ?? from)
    return [found, `${symbol}${weak ? ' (weak)' : ''}`, `for ${baseName(object)}`]
  })
  print(
    table([
      ['FROM', 'SYMBOL', ''],
      ...rows.map(([from = '', symbol = '', object = '']) => [from, cut(symbol, 40), object]),
    ]),
  )
}

function showRefusals(objects: readonly Inspected[]): void {
  const refused = objects.filter(({ refusal }) => refusal !== undefined)
  if (refused.length === 0) return
  print(`\n${toCountText(refused.length, 'object')} cannot be linked:`)
  for (const { refusal = '' } of refused) print(`  ${wrap(refusal, columns(), '    ', 2)}`)
}

function showOutcome(outcome: Outcome): void {
  if ('estimate' in outcome) {
    const { code, constants, data, objects } = outcome.estimate
    const sizes = `${toBytesText(code)} of code, ${toBytesText(constants)} of constants, ${toBytesText(data)} of data`
    print(`\n${wrap(`It would link: ${sizes}, from ${toCountText(objects.length, 'object')}.`, columns(), '  ')}`)
    return
  }
  const { code, message } = outcome.refusal
  print(`\n${wrap(`It would not link: ${message} (${code})`, columns(), '  ')}`)
}

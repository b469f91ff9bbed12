/** `codeslab layout`: a picture of the memory that files take when they are linked. */

import { writeFileSync } from 'node:fs'
import { CodeMemory, drawLayout, drawLayoutSvg, type MemoryLayout, type SpanLayout } from '../../index.ts'
import { statuses, UsageError } from './failure.ts'
import { linkHelp, linkOptions, parse, read, toLinkOptions } from './inputs.ts'
import { baseName, columns, hasColors, print, printJson } from './output.ts'

export const layoutHelp = `Usage: codeslab layout [OPTIONS] FILE.o|FILE.a ...

Links each file into one memory, constructors included, and draws where its
code, constants and data lie.

      --svg [FILE]         an SVG file instead of text: into FILE, or to the
                           terminal
      --json               addresses and sizes, for programs
      --together           link all files as one image
      --block-size BYTES   as the option blockSize of CodeMemory
      --guard-pages        as the option guardPages of CodeMemory${linkHelp}

Exit status: 0, 1 if something does not link, 2 for a mistake in the command.

Examples:
  codeslab layout libz.a
  codeslab layout --svg memory.svg libz.a plugin.o`

const options = {
  svg: { type: 'boolean' },
  output: { type: 'string', short: 'o' },
  json: { type: 'boolean' },
  together: { type: 'boolean' },
  'block-size': { type: 'string' },
  'guard-pages': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  ...linkOptions,
} as const

/** Runs the command. */
export function layout(args: readonly string[]): number {
  const { values, positionals } = parse('layout', withOutput(args), options)
  if (values.help) {
    print(layoutHelp)
    return statuses.success
  }
  const inputs = read('layout', positionals)
  const memory = new CodeMemory({ blockSize: toBlockSize(values['block-size']), guardPages: values['guard-pages'] })
  const link = toLinkOptions(values)
  const groups = values.together ? [inputs] : inputs.map(input => [input])
  const owners = new Map<bigint, string>()
  // Kept until the picture is drawn.
  const images = groups.map(group => {
    const image = memory.link(group, link)
    const name = group.map(input => baseName(input.name)).join(' + ')
    // What was not there before is what this one takes.
    for (const { address } of spans(memory.layout())) if (!owners.has(address)) owners.set(address, name)
    return image
  })
  const picture = memory.layout()
  const label = ({ address }: SpanLayout) => owners.get(address)
  if (values.json) printJson(picture)
  else if (values.svg) write(drawLayoutSvg(picture, { label }), values.output)
  else print(drawLayout(picture, { label, width: columns(), colors: hasColors() }))
  for (const image of images) image.free()
  return statuses.success
}

/** `--svg FILE`: the file belongs to the option, if it is named like a picture. */
function withOutput(args: readonly string[]): string[] {
  return args.flatMap((arg, index) => {
    if (arg.startsWith('--svg=')) return ['--svg', '--output', arg.slice('--svg='.length)]
    return args[index - 1] === '--svg' && arg.endsWith('.svg') ? ['--output', arg] : [arg]
  })
}

function toBlockSize(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const size = Number(text)
  if (!Number.isSafeInteger(size))
    throw new UsageError(`--block-size ${text} is no number of bytes`, 'write --block-size 1048576')
  return size
}

function spans({ blocks }: MemoryLayout): SpanLayout[] {
  return blocks.flatMap(({ slabs }) => slabs.flatMap(slab => slab.spans))
}

function write(svg: string, path: string | undefined): void {
  if (path === undefined) process.stdout.write(svg)
  else writeFileSync(path, svg)
}

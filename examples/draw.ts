/** A code memory as a picture for the terminal: its blocks, the slabs in them, and how full those are. */

import type { MemoryLayout } from 'codeslab'

type Block = MemoryLayout['blocks'][number]
type Slab = Block['slabs'][number]

const WIDTH = 64
const SHADES = ['·', '░', '▒', '▓', '█'] as const
const COLOURS = { rx: 31, ro: 34, rw: 32 } as const
const MEANINGS = { rx: 'code', ro: 'constants', rw: 'data' } as const

/** Every block with its slabs, in the order of their addresses. */
export function draw({ blocks }: MemoryLayout): string {
  if (blocks.length === 0) return 'no blocks'
  return blocks.map(drawBlock).join('\n\n')
}

/** A number of bytes as people write it. */
export function bytes(count: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB']
  const power = count < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10))
  const value = count / 1024 ** power
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[power] ?? ''}`
}

function drawBlock(block: Block): string {
  const head = `block at ${hex(block.address)}, ${bytes(block.size)} of address space`
  return [head, `  ${overview(block)}`, ...block.slabs.map(drawSlab)].join('\n')
}

/** The whole block on one line: which part of it belongs to which protection. */
function overview(block: Block): string {
  const cells = Array.from({ length: WIDTH }, () => ' ')
  for (const slab of block.slabs) {
    const first = Math.floor((Number(slab.address - block.address) / block.size) * WIDTH)
    const last = Math.ceil((Number(slab.address - block.address + BigInt(slab.size)) / block.size) * WIDTH)
    cells.fill(paint(slab, '▀'), first, last)
  }
  return `[${cells.join('')}]`
}

function drawSlab(slab: Slab): string {
  const used = slab.spans.reduce((sum, span) => sum + span.size, 0)
  const label = `${slab.protection} ${MEANINGS[slab.protection].padEnd(9)} ${hex(slab.address)}`
  const share = `${bytes(used)} of ${bytes(slab.size)}, ${slab.spans.length} span${slab.spans.length === 1 ? '' : 's'}`
  return `  ${label}  ${share}\n  [${paint(slab, fill(slab))}]`
}

/** The slab in cells of equal size, each the darker the fuller it is. */
function fill(slab: Slab): string {
  const cell = slab.size / WIDTH
  const used = new Float64Array(WIDTH)
  for (const span of slab.spans) {
    const start = Number(span.address - slab.address)
    const end = start + span.size
    for (let index = Math.floor(start / cell); index < WIDTH && index * cell < end; index++) {
      used[index] = (used[index] ?? 0) + Math.min(end, (index + 1) * cell) - Math.max(start, index * cell)
    }
  }
  return Array.from(used, amount => SHADES[Math.ceil((amount / cell) * (SHADES.length - 1))] ?? '█').join('')
}

function paint({ protection }: Slab, text: string): string {
  if (!process.stdout.isTTY || process.env['NO_COLOR']) return text
  return `\x1b[${COLOURS[protection]}m${text}\x1b[0m`
}

function hex(address: bigint): string {
  return `0x${address.toString(16)}`
}

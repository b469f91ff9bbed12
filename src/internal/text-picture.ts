/** A layout as text for a terminal. `drawing.ts` uses this. */

import type { BlockLayout, MemoryLayout, SlabLayout, SpanLayout } from '../stats.ts'
import { toHex } from './inspect.ts'
import { meanings, shareOf, toBytesText, toCountText, usedBytes } from './scale.ts'

/** How to draw. */
export interface TextStyle {
  readonly label: (span: SpanLayout) => string | undefined
  readonly width: number
  readonly colors: boolean
}

/** So many of the largest spans of a slab are listed. */
const LISTED = 6

const shades = ['·', '░', '▒', '▓', '█'] as const
const colours = { rx: 31, ro: 34, rw: 32 } as const

/** Every block with its slabs, in the order of their addresses. */
export function drawText({ blocks }: MemoryLayout, style: TextStyle): string {
  if (blocks.length === 0) return 'nothing is placed: there are no blocks'
  const legend = Object.entries(meanings).map(([protection, meaning]) => {
    return paint(protection as keyof typeof meanings, `▀ ${protection} ${meaning}`, style)
  })
  return [...blocks.map(block => drawBlock(block, style)), `${legend.join('   ')}   free: ·`].join('\n\n')
}

function drawBlock(block: BlockLayout, style: TextStyle): string {
  const head = ends(
    `block ${toHex(block.address)}`,
    `${toBytesText(block.size)}, cluster ${String(block.cluster)}`,
    style,
  )
  return [head, `[${overview(block, style)}]`, ...block.slabs.map(slab => drawSlab(slab, style))].join('\n')
}

/** The whole block on one line: which part of it belongs to which protection. */
function overview(block: BlockLayout, style: TextStyle): string {
  const width = style.width - 2
  const cells = Array.from({ length: width }, () => ' ')
  for (const slab of block.slabs) {
    const [start, end] = shareOf(block, slab)
    // A slab is seen, however small it is.
    const first = Math.min(Math.floor(start * width), width - 1)
    cells.fill(paint(slab.protection, '▀', style), first, Math.max(first + 1, Math.ceil(end * width)))
  }
  return cells.join('')
}

function drawSlab(slab: SlabLayout, style: TextStyle): string {
  const { protection, address, size, spans } = slab
  const used = `${toBytesText(usedBytes(slab))} of ${toBytesText(size)}, ${toCountText(spans.length, 'span')}`
  const head = ends(`  ${protection} ${meanings[protection].padEnd(9)} ${toHex(address)}`, used, style)
  const picture = `  [${paint(protection, fill(slab, style.width - 4), style)}]`
  const largest = [...spans].sort((one, other) => other.size - one.size).slice(0, LISTED)
  const listed = largest.map(span => drawSpan(span, style))
  const rest = spans.length > LISTED ? [`     … ${toCountText(spans.length - LISTED, 'smaller span')}`] : []
  return [head, picture, ...listed, ...rest].join('\n')
}

function drawSpan(span: SpanLayout, style: TextStyle): string {
  const name = style.label(span) ?? ''
  return ends(`     ${toHex(span.address)}  ${name}`, toBytesText(span.size), style)
}

/** The slab in cells of equal size, each the darker the fuller it is. */
function fill(slab: SlabLayout, width: number): string {
  const cell = slab.size / width
  const used = new Float64Array(width)
  for (const span of slab.spans) {
    const start = Number(span.address - slab.address)
    const end = start + span.size
    for (let index = Math.floor(start / cell); index < width && index * cell < end; index++) {
      used[index] = (used[index] ?? 0) + Math.min(end, (index + 1) * cell) - Math.max(start, index * cell)
    }
  }
  return Array.from(used, amount => shades[Math.ceil(Math.min(1, amount / cell) * (shades.length - 1))] ?? '█').join('')
}

/** One text on the left, another on the right; the left one is cut where there is no room. */
function ends(left: string, right: string, { width }: TextStyle): string {
  const room = width - right.length - 2
  const cut = left.length > room ? `${left.slice(0, Math.max(0, room - 1))}…` : left
  return `${cut.padEnd(room)}  ${right}`
}

function paint(protection: keyof typeof colours, text: string, { colors }: TextStyle): string {
  return colors ? `\x1b[${String(colours[protection])}m${text}\x1b[0m` : text
}

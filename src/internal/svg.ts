/** A layout as an SVG file. `drawing.ts` uses this. */

import type { BlockLayout, MemoryLayout, SlabLayout, SpanLayout } from '../stats.ts'
import { toHex } from './inspect.ts'
import { meanings, shareOf, toBytesText, toCountText, usedBytes } from './scale.ts'

/** How to draw. */
export interface SvgStyle {
  readonly label: (span: SpanLayout) => string | undefined
  readonly width: number
}

/** Pixels. */
const margin = 24
const blockHead = 26
const overviewHeight = 18
const slabHead = 24
const slabHeight = 34
const gap = 12

/** A span narrower than this has no room for its name. */
const letter = 6.6

/** So many spans of a slab are drawn one by one; the others are drawn as what they take together, a pixel each. */
const DRAWN = 4000

const style = `
    text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #1f2328 }
    .title { font-weight: 600; font-size: 15px }
    .fact, .mono { fill: #59636e }
    .mono, .name { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
    .name { fill: #fff; pointer-events: none }
    .paper { fill: #fff }
    .block { fill: #f6f8fa; stroke: #d1d9e0 }
    .slab { fill: #eaeef2 }
    .rx { fill: #bc4c00 } .ro { fill: #0969da } .rw { fill: #1a7f37 }
    .span { stroke: #fff; stroke-width: .5 }
    .span:hover { opacity: .75 }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .fact, .mono { fill: #9198a1 }
      .paper { fill: #0d1117 }
      .block { fill: #151b23; stroke: #3d444d }
      .slab { fill: #212830 }
      .span { stroke: #0d1117 }
      .rx { fill: #d2691e } .ro { fill: #316dca } .rw { fill: #2a8b46 }
    }
  `

/** The whole file. */
export function drawSvg({ blocks }: MemoryLayout, how: SvgStyle): string {
  let y = margin
  const parts: string[] = [legend(how, y)]
  y += 34
  if (blocks.length === 0) {
    parts.push(text(margin, y + 14, 'fact', 'Nothing is placed: there are no blocks.'))
    y += 24
  }
  for (const block of blocks) {
    parts.push(drawBlock(block, how, y))
    y += heightOf(block) + margin
  }
  const size = `width="${String(how.width)}" height="${String(y)}" viewBox="0 0 ${String(how.width)} ${String(y)}"`
  const title = `<title>Code memory: ${toCountText(blocks.length, 'block')}</title>`
  const paper = `<rect class="paper" width="100%" height="100%"/>`
  return `<svg xmlns="http://www.w3.org/2000/svg" role="img" ${size}>\n${title}\n<style>${style}</style>\n${paper}\n${parts.join('\n')}\n</svg>\n`
}

function heightOf(block: BlockLayout): number {
  return blockHead + overviewHeight + block.slabs.length * (gap + slabHead + slabHeight)
}

/** What the colours mean, at the top. */
function legend(how: SvgStyle, y: number): string {
  const parts = [text(margin, y + 12, 'title', 'Code memory')]
  let x = how.width - margin
  for (const [protection, meaning] of Object.entries(meanings).reverse()) {
    const wide = `${protection} ${meaning}`.length * 7
    x -= wide
    parts.push(text(x, y + 12, 'fact', `${protection} ${meaning}`))
    x -= 18
    parts.push(rect(x, y + 2, 12, 12, protection))
    x -= 16
  }
  return parts.join('\n')
}

function drawBlock(block: BlockLayout, how: SvgStyle, y: number): string {
  const width = how.width - 2 * margin
  const facts = `${toBytesText(block.size)} of address space, cluster ${String(block.cluster)}`
  const bar = y + blockHead
  const parts = [
    text(margin, y + 14, 'mono', `block ${toHex(block.address)}`),
    text(how.width - margin, y + 14, 'fact', facts, 'end'),
    rect(margin, bar, width, overviewHeight, 'block'),
  ]
  let below = bar + overviewHeight
  for (const slab of block.slabs) {
    const [start, end] = shareOf(block, slab)
    const [left, wide] = [margin + start * width, Math.max(2, (end - start) * width)]
    parts.push(rect(left, bar + 1, wide, overviewHeight - 2, slab.protection, titleOf(slab)))
    parts.push(drawSlab(slab, how, below + gap))
    below += gap + slabHead + slabHeight
  }
  return `<g>\n${parts.join('\n')}\n</g>`
}

function titleOf(slab: SlabLayout): string {
  return `${slab.protection} ${meanings[slab.protection]}, ${toHex(slab.address)}, ${toBytesText(slab.size)}`
}

function drawSlab(slab: SlabLayout, how: SvgStyle, y: number): string {
  const width = how.width - 2 * margin
  const used = usedBytes(slab)
  const facts = `${toBytesText(used)} of ${toBytesText(slab.size)} in ${toCountText(slab.spans.length, 'span')}`
  const parts = [
    rect(margin, y + 5, 10, 10, slab.protection),
    text(margin + 17, y + 14, 'mono', `${meanings[slab.protection]} ${toHex(slab.address)}`),
    text(how.width - margin, y + 14, 'fact', facts, 'end'),
    rect(margin, y + slabHead, width, slabHeight, 'slab'),
    ...slab.spans.slice(0, DRAWN).map(span => drawSpan(slab, span, how, y + slabHead)),
  ]
  if (slab.spans.length > DRAWN) {
    const rest = slab.spans.length - DRAWN
    parts.push(text(how.width - margin, y + slabHead + 20, 'fact', `and ${toCountText(rest, 'more span')}`, 'end'))
  }
  return parts.join('\n')
}

function drawSpan(slab: SlabLayout, span: SpanLayout, how: SvgStyle, y: number): string {
  const width = how.width - 2 * margin
  const left = (Number(span.address - slab.address) / slab.size) * width
  const wide = Math.max(1, (span.size / slab.size) * width)
  const name = how.label(span)
  const title = [name, toHex(span.address), toBytesText(span.size)].filter(part => part !== undefined).join(', ')
  const shape = rect(margin + left, y, wide, slabHeight, `span ${slab.protection}`, title)
  const room = Math.floor((wide - 10) / letter)
  if (name === undefined || room < 3) return shape
  const cut = name.length > room ? `${name.slice(0, room - 1)}…` : name
  return `${shape}\n${text(margin + left + 6, y + slabHeight / 2 + 4, 'name', cut)}`
}

function rect(x: number, y: number, width: number, height: number, kind: string, title?: string): string {
  const place = `x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"`
  const shape = `<rect class="${kind}" ${place}`
  return title === undefined ? `${shape}/>` : `${shape}><title>${escaped(title)}</title></rect>`
}

function text(x: number, y: number, kind: string, content: string, anchor = 'start'): string {
  return `<text class="${kind}" x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escaped(content)}</text>`
}

function round(value: number): string {
  return String(Math.round(value * 100) / 100)
}

/** Names come from object files: they may hold anything, of which XML does not even allow all. */
function escaped(content: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  // eslint-disable-next-line no-control-regex -- these are what XML does not allow
  const allowed = content.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
  return allowed.replace(/[&<>"]/g, character => entities[character] ?? '')
}

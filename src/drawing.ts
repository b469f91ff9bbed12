/** Pictures of a layout: for a terminal, and for a browser. */

import { checkNumber, checkObject, checkShape, names, outOfRange } from './internal/checks.ts'
import './errors.ts'
import { drawSvg } from './internal/svg.ts'
import { drawText } from './internal/text-picture.ts'
import type { MemoryLayout, SpanLayout } from './stats.ts'

/**
 * How {@link drawLayout} and {@link drawLayoutSvg} draw.
 *
 * @example
 * ```ts
 * import { lookup, type DrawingOptions } from 'codeslab'
 *
 * const named: DrawingOptions = { label: ({ address }) => lookup(address)?.name }
 * ```
 *
 * @category Introspection
 */
export interface DrawingOptions {
  /** What a span is called; `undefined` for nothing. Default: no names. */
  readonly label?: ((span: SpanLayout) => string | undefined) | undefined
  /** How wide it is: columns of a terminal, at least 40, or pixels, at least 320. Default: 80 columns, 960 pixels. */
  readonly width?: number | undefined
  /** Whether text has colours, as escape sequences of a terminal. Default: false. */
  readonly colors?: boolean | undefined
}

const optionNames = names<DrawingOptions>({ label: true, width: true, colors: true })

/**
 * A layout as text: each block, where in it the slabs lie, how full each is, and its largest spans.
 *
 * @param layout - What {@link CodeMemory.layout} gives.
 * @param options - Names, width, colours.
 * @throws `TypeError` or `RangeError` for options of a wrong type, or a width below 40 columns.
 * @example
 * ```ts
 * import { CodeMemory, drawLayout } from 'codeslab'
 *
 * const memory = new CodeMemory()
 * memory.allocate({ text: { protection: 'rx', size: 4096 } }).finalize()
 * console.log(drawLayout(memory.layout()))
 * ```
 *
 * @category Introspection
 */
export function drawLayout(layout: MemoryLayout, options: DrawingOptions = {}): string {
  check(layout, options, 40)
  const { label = nothing, width = 80, colors = false } = options
  return drawText(layout, { label, width, colors })
}

/**
 * A layout as a picture: the text of an SVG file, which says of each span where it is and what it is called when one points at it. It has
 * no scripts and refers to nothing, and follows the light or dark scheme of the reader.
 *
 * @param layout - What {@link CodeMemory.layout} gives.
 * @param options - Names and width.
 * @throws `TypeError` or `RangeError` for options of a wrong type, or a width below 320 pixels.
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs'
 * import { CodeMemory, drawLayoutSvg } from 'codeslab'
 *
 * writeFileSync('memory.svg', drawLayoutSvg(new CodeMemory().layout()))
 * ```
 *
 * @category Introspection
 */
export function drawLayoutSvg(layout: MemoryLayout, options: DrawingOptions = {}): string {
  check(layout, options, 320)
  const { label = nothing, width = 960 } = options
  return drawSvg(layout, { label, width })
}

function check(layout: MemoryLayout, options: DrawingOptions, narrowest: number): void {
  checkObject(layout, 'layout')
  checkShape(options, 'options', optionNames)
  const { width = narrowest } = options
  checkNumber(width, 'width')
  if (!(Number.isInteger(width) && width >= narrowest && width <= 100_000)) {
    throw outOfRange('width', `a whole number from ${String(narrowest)} to 100000`, width)
  }
}

function nothing(): undefined {
  return undefined
}

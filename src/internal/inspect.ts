/** How things look in `console.log`: addresses in hexadecimal. */

import { inspect, type InspectOptionsStylized } from 'node:util'

/** Text that `inspect` shows as it is, in the colour of numbers. */
class Verbatim {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  [inspect.custom](_depth: number, options: InspectOptionsStylized): string {
    return options.stylize(this.#text, 'bigint')
  }
}

/** Anything as it is, but bigints, which are addresses here, in hexadecimal. */
export function hexadecimal(value: unknown): unknown {
  return typeof value === 'bigint' ? new Verbatim(toHex(value)) : value
}

/** An address as people write it. */
export function toHex(address: bigint): string {
  return address < 0n ? `-0x${(-address).toString(16)}` : `0x${address.toString(16)}`
}

/** Bytes in memory, in one line. */
export function region(address: bigint, size: number, protection: string | undefined): unknown {
  return new Verbatim(`${toHex(address)} (${protection === undefined ? '' : `${protection}, `}${String(size)} bytes)`)
}

/** What `inspect` shows of an object of ours: its class and these fields. */
export function describe(
  name: string,
  fields: Readonly<Record<string, unknown>>,
  depth: number,
  options: InspectOptionsStylized,
): string {
  if (depth < 0) return options.stylize(`[${name}]`, 'special')
  const known = Object.entries(fields).filter(([, value]) => value !== undefined)
  const shown = known.map(([key, value]) => [key, hexadecimal(value)])
  return `${name} ${inspect(Object.fromEntries(shown), { ...options, depth: options.depth ?? null })}`
}

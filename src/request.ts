/** What shall be placed, and where. */

import { isReserved } from './allocation.ts'
import {
  checkNumber,
  checkObject,
  checkShape,
  choose,
  invalidType,
  isCount,
  names,
  outOfRange,
  toAddress,
  toAlign,
  toBytes,
  toSize,
} from './checks.ts'
import { CodeslabError } from './errors.ts'
import { protections, type Protection } from './protection.ts'

/**
 * A section that {@link CodeMemory.allocate} shall place.
 *
 * @example
 * ```ts
 * import type { SectionRequest } from 'codeslab'
 *
 * const table: SectionRequest = { protection: 'ro', bytes: Float64Array.of(0.5, 0.25), align: 8 }
 * ```
 *
 * @category Memory
 */
export interface SectionRequest {
  /** What it may be used for once it is published. */
  readonly protection: Protection
  /** How many bytes it has. Default: as many as `bytes`. */
  readonly size?: number
  /** What is written to its start at once. */
  readonly bytes?: ArrayBufferView | ArrayBuffer
  /** Its alignment in bytes, a power of two. Default: 16. */
  readonly align?: number
}

/**
 * An interval of addresses, both ends included.
 *
 * @example
 * ```ts
 * import type { AddressWindow } from 'codeslab'
 *
 * const below2GiB: AddressWindow = { first: 0, last: 0x7fff_ffff }
 * ```
 *
 * @category Memory
 */
export interface AddressWindow {
  /** The lowest address in it. */
  readonly first: bigint | number
  /** The highest address in it. */
  readonly last: bigint | number
}

/**
 * Where an allocation has to lie, besides within reach of itself. Every byte of it lies in all of these.
 *
 * @example A hook within reach of a function, so that a 5-byte jump gets there
 * ```ts
 * import { CodeMemory } from 'codeslab'
 *
 * declare const target: bigint
 * const hook = new CodeMemory().allocate({ text: { protection: 'rx', size: 64 } }, { near: target })
 * ```
 *
 * @category Memory
 */
export interface Placement {
  /** Windows in which it has to lie. */
  readonly within?: readonly AddressWindow[]
  /** An address that it has to be near: at most as many bytes away as the code model reaches, or as `reach` says. */
  readonly near?: bigint | number | Neighbourhood
}

/**
 * What is near an address.
 *
 * @example
 * ```ts
 * import type { Neighbourhood } from 'codeslab'
 *
 * const withinOneMegabyte: Neighbourhood = { address: 0x7f0000001000n, reach: 2 ** 20 }
 * ```
 *
 * @category Memory
 */
export interface Neighbourhood {
  /** The address. */
  readonly address: bigint | number
  /** How many bytes away is near, in either direction. Default: as many as the code model reaches. */
  readonly reach?: number
}

/**
 * A section as native code takes it.
 *
 * @internal
 */
export interface Request {
  readonly name: string
  readonly bytes: Uint8Array | undefined
  readonly protection: Protection
  readonly size: number
  readonly align: number
}

const sectionNames = names<SectionRequest>({ protection: true, size: true, bytes: true, align: true })
const placementNames = names<Placement>({ within: true, near: true })
const windowNames = names<AddressWindow>({ first: true, last: true })
const neighbourhoodNames = names<Neighbourhood>({ address: true, reach: true })

/**
 * Sections, checked.
 *
 * @internal
 */
export function toRequests(sections: Readonly<Record<string, SectionRequest>>): Request[] {
  checkObject(sections, 'sections')
  return Object.entries(sections).map(([name, section]) => toRequest(name, section))
}

function toRequest(name: string, section: SectionRequest): Request {
  checkShape(section, `section ${name}`, sectionNames)
  if (isReserved(name)) {
    const message = `a section cannot be named ${name}: allocations have a property of that name`
    throw new CodeslabError('ERR_CODESLAB_INVALID_SECTION_NAME', message, { section: name })
  }
  const { protection } = section
  choose(protection, `protection of section ${name}`, protections)
  const bytes = section.bytes === undefined ? undefined : toBytes(section.bytes, `bytes of section ${name}`)
  const size = toSize(section.size ?? bytes?.length, name)
  return { name, bytes, protection, size, align: toAlign(section.align ?? 16, name) }
}

/** How many numbers tell native code what a section is. */
const NUMBERS = 3

/** What crosses into native code and back when something is allocated: made once, because making it costs more. */
let words = new BigUint64Array(NUMBERS * 8)
let numbers = new Float64Array(words.buffer)

/**
 * Writes requests for native code, which writes one address for each over them.
 *
 * @internal
 */
export function exchange(requests: readonly Request[]): BigUint64Array {
  if (requests.length * NUMBERS > words.length) {
    words = new BigUint64Array(requests.length * NUMBERS)
    numbers = new Float64Array(words.buffer)
  }
  requests.forEach(({ protection, size, align }, index) => {
    numbers[index * NUMBERS] = protections.get(protection) ?? 0
    numbers[index * NUMBERS + 1] = size
    numbers[index * NUMBERS + 2] = align
  })
  return words
}

/** No window: anywhere. */
const NO_WINDOWS = new BigUint64Array(0)

/** The last address that there is. */
const LAST = 2n ** 64n - 1n

/**
 * The first and last address of each window of a placement.
 *
 * @internal
 */
export function toWindows(placement: Placement | undefined, reach: number): BigUint64Array {
  if (placement === undefined) return NO_WINDOWS
  checkShape(placement, 'placement', placementNames)
  const { within = [], near } = placement
  if (!Array.isArray(within)) throw invalidType('within', 'an array', within)
  const windows = within.flatMap((window: AddressWindow, index) => toWindow(window, `within[${String(index)}]`))
  return BigUint64Array.from(near === undefined ? windows : [...windows, ...around(near, reach)])
}

function toWindow(window: AddressWindow, name: string): [bigint, bigint] {
  checkShape(window, name, windowNames)
  const first = toAddress(window.first, `${name}.first`)
  const last = toAddress(window.last, `${name}.last`)
  if (first > last) throw outOfRange(`${name}.last`, 'at least first', window.last)
  return [first, last]
}

/** The window in which everything is near an address. */
function around(near: bigint | number | Neighbourhood, usual: number): [bigint, bigint] {
  const { address, reach = usual } = isNeighbourhood(near) ? near : { address: near }
  const center = toAddress(address, 'near')
  checkNumber(reach, 'reach')
  if (!isCount(reach) && reach !== Infinity) throw outOfRange('reach', 'a whole number that is not negative', reach)
  const span = reach === Infinity ? LAST : BigInt(reach)
  return [center > span ? center - span : 0n, center + span < LAST ? center + span : LAST]
}

function isNeighbourhood(near: bigint | number | Neighbourhood): near is Neighbourhood {
  if (typeof near !== 'object' || (near as unknown) === null) return false
  checkShape(near, 'near', neighbourhoodNames)
  return true
}

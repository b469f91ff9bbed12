/** What shall be placed, and where, as native code takes it. `CodeMemory.allocate` uses this. */

import type { Allocation, InFlightAllocation } from '../allocation.ts'
import type { Protection } from '../protection.ts'
import type { AddressWindow, Neighbourhood, Placement, SectionRequest } from '../request.ts'
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
import { protections } from './protection.ts'
import { refusal } from './refusal.ts'

/** A section as native code takes it. */
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

/** Sections, checked. */
export function toRequests(sections: Readonly<Record<string, SectionRequest>>): Request[] {
  checkObject(sections, 'sections')
  return Object.entries(sections).map(([name, section]) => toRequest(name, section))
}

function toRequest(name: string, section: SectionRequest): Request {
  checkShape(section, `section ${name}`, sectionNames)
  if (isReserved(name)) {
    const message = `a section cannot be named ${name}: allocations have a property of that name`
    throw refusal('ERR_CODESLAB_INVALID_SECTION_NAME', message, { section: name })
  }
  const { protection } = section
  choose(protection, `protection of section ${name}`, protections)
  const bytes = section.bytes === undefined ? undefined : toBytes(section.bytes, `bytes of section ${name}`)
  const size = toSize(section.size ?? bytes?.length, name)
  return { name, bytes, protection, size, align: toAlign(section.align ?? 16, name) }
}

/** The properties that allocations have themselves. TypeScript sees to it that none is missing, and that there is no other. */
const ownProperties = names<Record<Extract<keyof (InFlightAllocation & Allocation), string>, unknown>>({
  finalize: true,
  abandon: true,
  freed: true,
  free: true,
})

/** Whether a section cannot have this name, because that property means something else. `await` would call `then`. */
function isReserved(name: string): boolean {
  return ownProperties.has(name) || name in Object.prototype || name === 'then'
}

/** How many numbers tell native code what a section is. */
const NUMBERS = 3

/**
 * The words of a request, then the addresses of its sections. One buffer for all requests of this thread: with a new one for
 * each, allocating, writing, publishing and freeing one section took 1.3 to 1.4 times as long (Node 24, Linux x86-64, medians
 * of seven alternating runs). No request needs it while another one is in native code, which reads and writes it before it
 * returns.
 */
let words = new BigUint64Array(NUMBERS * 8)

/** Writes requests for native code, which writes one address for each over them. */
export function exchange(requests: readonly Request[]): BigUint64Array {
  if (requests.length * NUMBERS > words.length) words = new BigUint64Array(requests.length * NUMBERS)
  requests.forEach(({ protection, size, align }, index) => {
    words[index * NUMBERS] = BigInt(protections.get(protection) ?? 0)
    words[index * NUMBERS + 1] = BigInt(size)
    words[index * NUMBERS + 2] = BigInt(align)
  })
  return words
}

/** No window: anywhere. */
const NO_WINDOWS = new BigUint64Array(0)

/** The last address that there is. */
const LAST = 2n ** 64n - 1n

/** The first and last address of each window of a placement. */
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

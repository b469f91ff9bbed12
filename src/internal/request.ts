/** What shall be placed, and where, as native code takes it. `CodeMemory.allocate` uses this. */

import type { AddressLike } from '../address.ts'
import type { Allocation, InFlightAllocation } from '../allocation.ts'
import type { Protection } from '../protection.ts'
import type { AddressWindow, Neighbourhood, Placement, SectionRequest } from '../request.ts'
import { addressed } from './address.ts'
import {
  checkNumber,
  checkObject,
  checkShape,
  checkString,
  checkSteady,
  choose,
  invalidType,
  isCount,
  names,
  outOfRange,
  toAddress,
  toAlign,
  toBytes,
  toList,
  toSize,
} from './checks.ts'
import { append, byteLength, has, isView, makeWords, ownKeys, sized, toBigInt } from './intrinsics.ts'
import { protections } from './protection.ts'
import { refusal } from './refusal.ts'

/** A section as native code takes it. */
export interface Request {
  readonly name: string
  /** What debuggers and profilers call it. */
  readonly label: string
  readonly bytes: Uint8Array | undefined
  /** How many bytes those were when they were read. */
  readonly length: number
  readonly protection: Protection
  readonly size: number
  readonly align: number
}

const sectionNames = names<SectionRequest>({ protection: true, size: true, bytes: true, align: true, name: true })
const placementNames = names<Placement>({ within: true, near: true })
const windowNames = names<AddressWindow>({ first: true, last: true })
const neighbourhoodNames = names<Neighbourhood>({ address: true, reach: true })

/** Sections, checked. Each property is read once. */
export function toRequests(sections: Readonly<Record<string, SectionRequest>>): readonly Request[] {
  checkObject(sections, 'sections')
  // The list of names becomes that of requests: what is there already is assigned without asking a prototype.
  const list: (string | Request)[] = ownKeys(sections)
  for (let index = 0; index < list.length; index++) {
    const name = list[index] as string
    list[index] = toRequest(name, sections[name] as SectionRequest)
  }
  return list as Request[]
}

function toRequest(name: string, section: SectionRequest): Request {
  if (isFlat(name, section)) {
    throw invalidType(
      `section ${name}`,
      'an object: sections have names, so write { text: { protection, size } }',
      section,
    )
  }
  checkShape(section, `section ${name}`, sectionNames)
  if (isReserved(name)) {
    const message = `a section cannot be named ${name}: allocations have a property of that name`
    throw refusal('ERR_CODESLAB_INVALID_SECTION_NAME', message, { section: name })
  }
  // The bytes last: no getter comes between reading them and seeing how many they are.
  const { protection, size, align = 16, name: label = name, bytes: content } = section
  checkString(label, `name of section ${name}`)
  choose(protection, `protection of section ${name}`, protections)
  const bytes = content === undefined ? undefined : toBytes(content, bytesOf(name))
  const length = bytes === undefined ? 0 : byteLength(bytes)
  const known = size === undefined && bytes !== undefined ? length : size
  return { name, label, bytes, length, protection, size: toSize(known, name), align: toAlign(align, name) }
}

/** Whether somebody wrote the properties of one section in the place of sections. */
function isFlat(name: string, section: unknown): boolean {
  return has(sectionNames.known, name) && (typeof section !== 'object' || isView(section))
}

function bytesOf(section: string): string {
  return `bytes of section ${section}`
}

/** The bytes of each section, if it has any. None of them has changed since it was read. */
export function toContents(requests: readonly Request[]): (Uint8Array | undefined)[] {
  const contents = sized<Uint8Array | undefined>(requests.length, undefined)
  for (let index = 0; index < requests.length; index++) {
    const { bytes, length, name } = requests[index] as Request
    if (bytes !== undefined) checkSteady(bytes, length, bytesOf(name))
    contents[index] = bytes
  }
  return contents
}

/** Whether any section was given a name of its own. */
export function areNamed(requests: readonly Request[]): boolean {
  for (let index = 0; index < requests.length; index++) {
    const { name, label } = requests[index] as Request
    if (name !== label) return true
  }
  return false
}

/** What debuggers and profilers call each section. */
export function toLabels(requests: readonly Request[]): string[] {
  const labels = sized(requests.length, '')
  for (let index = 0; index < requests.length; index++) labels[index] = (requests[index] as Request).label
  return labels
}

/** The properties that allocations have themselves. TypeScript sees to it that none is missing, and that there is no other. */
const ownProperties = names<Record<Extract<keyof (InFlightAllocation & Allocation), string>, unknown>>({
  finalize: true,
  abandon: true,
  freed: true,
  free: true,
  share: true,
})

/** Whether a section cannot have this name, because that property means something else. `await` would call `then`. */
function isReserved(name: string): boolean {
  return has(ownProperties.known, name) || name in Object.prototype || name === 'then'
}

/** How many numbers tell native code what a section is. */
const NUMBERS = 3

/**
 * The words of a request, then the addresses of its sections. One buffer for all requests of this thread: with a new one for
 * each, allocating, writing, publishing and freeing one section took 1.3 to 1.4 times as long (Node 24, Linux x86-64, medians
 * of seven alternating runs). No request needs it while another one is in native code, which reads and writes it before it
 * returns.
 */
let capacity = 8
let words = makeWords(NUMBERS * capacity)

/** Writes requests for native code, which writes one address for each over them. */
export function exchange(requests: readonly Request[]): BigUint64Array {
  const count = requests.length
  if (count > capacity) {
    capacity = count
    words = makeWords(NUMBERS * capacity)
  }
  for (let index = 0; index < count; index++) {
    const { protection, size, align } = requests[index] as Request
    words[index * NUMBERS] = toBigInt(choose(protection, 'protection', protections))
    words[index * NUMBERS + 1] = toBigInt(size)
    words[index * NUMBERS + 2] = toBigInt(align)
  }
  return words
}

/** No window: anywhere. */
const NO_WINDOWS = makeWords(0)

/** The last address that there is. */
const LAST = 2n ** 64n - 1n

/** The first and last address of each window of a placement. That none is empty is for native code to say. */
export function toWindows(placement: Placement | undefined, reach: number): BigUint64Array {
  if (placement === undefined) return NO_WINDOWS
  checkShape(placement, 'placement', placementNames)
  const { within = [], near } = placement
  const windows = toList(within, 'within', 'an array', toWindow)
  if (near !== undefined) append(windows, around(near, reach))
  const ends = makeWords(windows.length * 2)
  for (let index = 0; index < windows.length; index++) {
    const { first, last } = windows[index] as Window
    ends[index * 2] = first
    ends[index * 2 + 1] = last
  }
  return ends
}

/** A window as native code takes it. */
interface Window {
  readonly first: bigint
  readonly last: bigint
}

function toWindow(window: unknown, name: string): Window {
  checkShape(window, name, windowNames)
  const { first, last } = window as AddressWindow
  return { first: toAddress(first, `${name}.first`), last: toAddress(last, `${name}.last`) }
}

/** The window in which everything is near an address. */
function around(near: AddressLike | Neighbourhood, usual: number): Window {
  const { address, reach = usual } = toNeighbourhood(near)
  const center = toAddress(address, 'near')
  checkNumber(reach, 'reach')
  if (!isCount(reach) && reach !== Infinity) throw outOfRange('reach', 'a whole number that is not negative', reach)
  const span = reach === Infinity ? LAST : toBigInt(reach)
  return { first: center > span ? center - span : 0n, last: center + span < LAST ? center + span : LAST }
}

function toNeighbourhood(near: AddressLike | Neighbourhood): Neighbourhood {
  const isAddress = typeof near !== 'object' || (near as unknown) === null || addressed(near) !== undefined
  if (isAddress) return { address: near as AddressLike }
  checkShape(near, 'near', neighbourhoodNames)
  return near
}

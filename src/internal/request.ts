/** What shall be placed, and where, as native code takes it. `CodeMemory.allocate` uses this. */

import type { openMemory } from '#native'
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
import type { Handle } from './handle.ts'
import { life, makeRoom, numbers } from './life.ts'
import type { Place } from './place.ts'
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

type MemoryHandle = ReturnType<typeof openMemory>

/** Has native code place sections, and publish them if nothing of them is to be written any more. Runs no code of users. */
export function place(
  memory: MemoryHandle,
  requests: readonly Request[],
  windows: BigUint64Array | undefined,
  publishes: boolean,
): Handle {
  const contents = toContents(requests)
  announce(requests)
  const count = requests.length
  const handle: Handle = { number: 0 }
  handle.number = life.allocate(memory, handle, count, count === 1 ? contents[0] : contents, windows, publishes)
  return handle
}

/** Says what sections shall be, for the native function that allocates them. */
function announce(requests: readonly Request[]): void {
  const count = requests.length
  makeRoom(count)
  for (let index = 0; index < count; index++) {
    const { protection, size, align } = requests[index] as Request
    numbers[index * 3] = choose(protection, 'protection', protections)
    numbers[index * 3 + 1] = size
    numbers[index * 3 + 2] = align
  }
}

/** Where sections are, as native code has just said. */
export function toPlaces(requests: readonly Request[]): Place[] {
  const places = sized<Place | undefined>(requests.length, undefined) as Place[]
  for (let index = 0; index < requests.length; index++) {
    const { name, size, protection } = requests[index] as Request
    const low = numbers[index * 2] ?? 0
    const high = numbers[index * 2 + 1] ?? 0
    places[index] = { name, low, high, size, protection }
  }
  return places
}

/** The last address that there is. */
const LAST = 2n ** 64n - 1n

/** The first and last address of each window of a placement. That none is empty is for native code to say. */
export function toWindows(placement: Placement | undefined, reach: number): BigUint64Array | undefined {
  if (placement === undefined) return undefined
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

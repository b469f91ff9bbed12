/** What shall be placed, and where, as native code takes it. `CodeMemory.allocate` uses this. */

import type { openMemory } from '#native'
import type { AddressLike } from '../address.ts'
import type { Allocation, InFlightAllocation } from '../allocation.ts'
import type { AddressWindow, Neighbourhood, Placement, SectionRequest } from '../request.ts'
import { addressed } from './address.ts'
import {
  asBytes,
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
  toItems,
  toList,
  toSize,
} from './checks.ts'
import {
  append,
  byteLength,
  copyBytes,
  has,
  isArray,
  isView,
  makeBytes,
  makeList,
  makeWords,
  ownKeys,
  sized,
  toBigInt,
  toText,
} from './intrinsics.ts'
import { FREED_ALLOCATION, makeAllocationHandle, type AllocationHandle } from './handle.ts'
import { life, makeRoom, numbers } from './life.ts'
import { copy, findNames, toNames, type Names } from './names.ts'
import { notePlaces } from './place.ts'
import { numberOf, protections } from './protection.ts'
import { refusal } from './refusal.ts'

/** Sections as native code takes them. */
export interface Requests {
  readonly names: Names
  readonly sections: readonly Request[]
}

/** A section as native code takes it. */
export interface Request {
  readonly name: string
  /** What debuggers and profilers call it. */
  readonly label: string
  readonly bytes: Uint8Array | undefined
  /** How many bytes those were when they were read. */
  readonly length: number
  /** The index of its protection. */
  readonly protection: number
  readonly size: number
  readonly align: number
}

const sectionNames = names<SectionRequest>({ protection: true, size: true, bytes: true, align: true, name: true })
const placementNames = names<Placement>({ within: true, near: true })
const windowNames = names<AddressWindow>({ first: true, last: true })
const neighbourhoodNames = names<Neighbourhood>({ address: true, reach: true })

/** Sections, checked. Each property is read once. */
export function toRequests(sections: Readonly<Record<string, SectionRequest>>): Requests {
  checkObject(sections, 'sections')
  // The list of names becomes that of requests: what is there already is assigned without asking a prototype.
  const list: (string | Request)[] = ownKeys(sections)
  const known = findNames(list as string[])
  const names = known === undefined ? copy(list as string[]) : undefined
  for (let index = 0; index < list.length; index++) {
    const name = list[index] as string
    list[index] = toRequest(name, sections[name] as SectionRequest, known !== undefined)
  }
  return { names: known ?? toNames(names ?? []), sections: list as Request[] }
}

function toRequest(name: string, section: SectionRequest, isKnown: boolean): Request {
  if (isFlat(name, section)) {
    throw invalidType(
      `section ${name}`,
      'an object: sections have names, so write { text: { protection, size } }',
      section,
    )
  }
  if (!isSection(section)) checkShape(section, `section ${name}`, sectionNames)
  if (!isKnown && isReserved(name)) {
    const message = `a section cannot be named ${name}: allocations have a property of that name`
    throw refusal('ERR_CODESLAB_INVALID_SECTION_NAME', message, { section: name })
  }
  // The bytes last: no getter comes between reading them and seeing how many they are.
  const { protection: use, size, align = 16, name: label = name, bytes: content } = section
  if (typeof label !== 'string') checkString(label, `name of section ${name}`)
  const protection = numberOf(use) ?? choose(use, `protection of section ${name}`, protections)
  const bytes = content === undefined ? undefined : (asBytes(content) ?? toBytes(content, bytesOf(name)))
  const length = bytes === undefined ? 0 : byteLength(bytes)
  const known = size === undefined && bytes !== undefined ? length : size
  return { name, label, bytes, length, protection, size: toSize(known, name), align: toAlign(align, name) }
}

/**
 * Whether `checkShape` is sure to pass for a section, as `isShaped` says it of anything. There are more of these than of all else that is
 * checked, and comparing names takes less than looking them up.
 */
function isSection(section: unknown): boolean {
  if (typeof section !== 'object' || section === null || isArray(section)) return false
  for (const key in section) {
    if (!isKnown(key as keyof SectionRequest)) return false
  }
  return true
}

function isKnown(key: keyof SectionRequest): boolean {
  switch (key) {
    case 'protection':
    case 'bytes':
    case 'align':
    case 'size':
    case 'name':
      return true
    default:
      key satisfies never // One that is missing above is none.
      return false
  }
}

/** The sections of many allocations. */
export function toBatch(batch: readonly Readonly<Record<string, SectionRequest>>[]): Requests[] {
  return toItems(batch, 'batch', 'an array', (sections, index) => {
    if (typeof sections !== 'object') checkObject(sections, `batch[${toText(index)}]`)
    return toRequests(sections as Readonly<Record<string, SectionRequest>>)
  })
}

/** Whether somebody wrote the properties of one section in the place of sections. */
function isFlat(name: string, section: unknown): boolean {
  return (typeof section !== 'object' || isView(section)) && has(sectionNames.known, name)
}

function bytesOf(section: string): string {
  return `bytes of section ${section}`
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

/**
 * Has native code place sections for a keeper, and publish them if nothing of them is to be written any more: the number of the
 * allocation. Runs no code of users.
 */
export function place(
  memory: MemoryHandle,
  { sections }: Requests,
  keeper: object,
  windows: BigUint64Array | undefined,
  publishes: boolean,
): number {
  const count = sections.length
  const contents = sized<Uint8Array | undefined>(count, undefined)
  makeRoom(count)
  for (let index = 0; index < count; index++) {
    const section = sections[index] as Request
    announce(section, index * NUMBERS)
    contents[index] = section.bytes
  }
  return life.allocate(memory, keeper, count, count === 1 ? contents[0] : contents, windows, publishes)
}

/** As {@link place}, of what stays in flight. Sections that are still to be written are about to be asked for, so where they are is noted. */
export function placeInFlight(
  memory: MemoryHandle,
  requests: Requests,
  windows: BigUint64Array | undefined,
): AllocationHandle {
  const handle = makeAllocationHandle(FREED_ALLOCATION, requests.names)
  handle.number = place(memory, requests, handle, windows, false)
  if (!isWritten(requests.sections)) notePlaces(handle)
  return handle
}

/**
 * Has native code place and publish many requests for one keeper, all or none. The first of the numbers that it shares with JavaScript are
 * theirs then. Runs no code of users.
 */
export function placeAll(
  memory: MemoryHandle,
  all: readonly Requests[],
  keeper: object,
  windows: BigUint64Array | undefined,
): void {
  let count = 0
  for (let index = 0; index < all.length; index++) count += (all[index] as Requests).sections.length
  makeRoom(count, all.length)
  const supply: Supply = { staged: (staging ??= makeBytes(STAGED)), end: 0, contents: makeList() }
  life.publishAll(memory, keeper, announceAll(all, supply), supply.staged, supply.contents, windows)
}

/** The contents of the sections of a batch, on their way to native code. */
interface Supply {
  /** The bytes of small ones, one behind the other: copying them takes less than handing over a view of each. */
  readonly staged: Uint8Array
  /** How many those are. */
  end: number
  /** The others. */
  readonly contents: Uint8Array[]
}

/** How many bytes are staged at most, of a batch and of a section. */
const STAGED = 2 ** 18
const STAGED_OF_SECTION = 2 ** 12

/**
 * Where bytes are staged. It is there from the first batch on: making as much anew, and having the system fill it with zeros, takes longer than
 * copying does.
 */
let staging: Uint8Array | undefined

/** Says what the sections of a batch shall be. How many numbers that takes. */
function announceAll(all: readonly Requests[], supply: Supply): number {
  let at = 0
  for (let index = 0; index < all.length; index++) {
    const { sections } = all[index] as Requests
    numbers[at++] = sections.length
    for (let which = 0; which < sections.length; which++) {
      const section = sections[which] as Request
      announce(section, at)
      numbers[at + NUMBERS - 1] = put(supply, section)
      at += NUMBERS
    }
  }
  return at
}

/** Puts the content of a section where native code finds it: how many bytes of it are staged, negative if it is in the list. */
function put(supply: Supply, { bytes, length }: Request): number {
  if (bytes === undefined) return 0
  const end = supply.end + length
  if (length > STAGED_OF_SECTION || end > STAGED) {
    append(supply.contents, bytes)
    return -1
  }
  copyBytes(bytes, supply.staged, supply.end)
  supply.end = end
  return length
}

/** How many numbers say what a section shall be. The last of them is about contents of batches. */
const NUMBERS = 4

/** Says what a section shall be, from one of the numbers on. Its content has not changed since it was read. */
function announce({ protection, size, align, bytes, length, name }: Request, at: number): void {
  if (bytes !== undefined && byteLength(bytes) !== length) checkSteady(bytes, length, bytesOf(name))
  numbers[at] = protection
  numbers[at + 1] = size
  numbers[at + 2] = align
}

/** Whether nothing of the sections is left to be written. */
function isWritten(sections: readonly Request[]): boolean {
  for (let index = 0; index < sections.length; index++) {
    if ((sections[index] as Request).bytes === undefined) return false
  }
  return true
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

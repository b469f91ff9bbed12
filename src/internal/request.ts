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
  isShaped,
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
  get,
  has,
  isView,
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
import { protections } from './protection.ts'
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
  if (!isShaped(section, sectionNames)) checkShape(section, `section ${name}`, sectionNames)
  if (!isKnown && isReserved(name)) {
    const message = `a section cannot be named ${name}: allocations have a property of that name`
    throw refusal('ERR_CODESLAB_INVALID_SECTION_NAME', message, { section: name })
  }
  // The bytes last: no getter comes between reading them and seeing how many they are.
  const { protection: use, size, align = 16, name: label = name, bytes: content } = section
  if (typeof label !== 'string') checkString(label, `name of section ${name}`)
  const protection = get(protections.table, use) ?? choose(use, `protection of section ${name}`, protections)
  const bytes = content === undefined ? undefined : (asBytes(content) ?? toBytes(content, bytesOf(name)))
  const length = bytes === undefined ? 0 : byteLength(bytes)
  const known = size === undefined && bytes !== undefined ? length : size
  return { name, label, bytes, length, protection, size: toSize(known, name), align: toAlign(align, name) }
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
  return has(sectionNames.known, name) && (typeof section !== 'object' || isView(section))
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
  announce(sections, 0, contents, 0)
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

/** Has native code place and publish many requests for one keeper, all or none: their numbers. Runs no code of users. */
export function placeAll(
  memory: MemoryHandle,
  all: readonly Requests[],
  keeper: object,
  windows: BigUint64Array | undefined,
): number[] {
  const placed = makeList<number>()
  let count = 0
  for (let index = 0; index < all.length; index++) count += (all[index] as Requests).sections.length
  makeRoom(count, all.length)
  while (contents.length < count) append(contents, undefined)
  try {
    life.publishAll(memory, keeper, announceAll(all), contents, windows)
  } finally {
    for (let index = 0; index < count; index++) contents[index] = undefined
  }
  for (let index = 0; index < all.length; index++) append(placed, numbers[index] ?? 0)
  return placed
}

/** Says what the sections of a batch shall be, and lists their contents. How many numbers that takes. */
function announceAll(all: readonly Requests[]): number {
  let [at, before] = [0, 0]
  for (let index = 0; index < all.length; index++) {
    const { sections } = all[index] as Requests
    numbers[at++] = sections.length
    announce(sections, at, contents, before)
    at += sections.length * NUMBERS
    before += sections.length
  }
  return at
}

/** How many numbers say what a section shall be. */
const NUMBERS = 3

/** The contents of the sections of a batch, while native code has it: a list that grows costs more than all that is done with it. */
const contents = makeList<Uint8Array | undefined>()

/** Says what sections shall be, from one of the numbers on, and lists their contents. None of these has changed since it was read. */
function announce(
  sections: readonly Request[],
  first: number,
  contents: (Uint8Array | undefined)[],
  before: number,
): void {
  let at = first
  for (let index = 0; index < sections.length; index++) {
    const { protection, size, align, bytes, length, name } = sections[index] as Request
    if (bytes !== undefined && byteLength(bytes) !== length) checkSteady(bytes, length, bytesOf(name))
    contents[before + index] = bytes
    numbers[at++] = protection
    numbers[at++] = size
    numbers[at++] = align
  }
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

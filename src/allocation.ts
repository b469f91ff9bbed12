/// <reference lib="esnext.disposable" preserve="true" />
/** Bytes that are placed by hand, in their two states: being written, and published. */

import { inspect, type InspectOptionsStylized } from 'node:util'
import * as native from '#native'
import { checkString, invalidType, invalidValue, toBytes, toList, toOffset, toSize } from './internal/checks.ts'
import { checkConstruct, construct } from './internal/construct.ts'
import './errors.ts'
import { announce } from './internal/freed.ts'
import { FREED_ALLOCATION, makeAllocationHandle, toNumbers, type AllocationHandle } from './internal/handle.ts'
import { describe } from './internal/inspect.ts'
import { add, append, asIntN, has, makeList, ordinary, toNumber } from './internal/intrinsics.ts'
import { life } from './internal/life.ts'
import { addSections, copy, shape, toNames, type Names, type Shaped } from './internal/names.ts'
import { addressOf, notePlaces, placesOf, regions, type Place } from './internal/place.ts'
import { refusal } from './internal/refusal.ts'
import { markAsUncloneable } from './internal/uncloneable.ts'
import type { Protection } from './protection.ts'
import { makeSection, type Section } from './section.ts'

type MemoryHandle = ReturnType<typeof native.openMemory>

/** The handle of an allocation in flight; `undefined` for anything else. */
let handleOf: (value: unknown) => AllocationHandle | undefined

/**
 * The allocation in flight of a handle.
 *
 * @internal
 */
export let makeInFlight: (handle: AllocationHandle) => InFlightAllocation

/** The published allocation of a handle. */
let makeAllocation: (handle: AllocationHandle) => Allocation

/**
 * An allocation that is about to be published, for native code to be told of, or of the batch that it belongs to. Until {@link noteNumber} says which it is, it is one that was freed.
 *
 * @internal
 */
export let beginAllocation: (names: Names, batch?: object) => Allocation

/**
 * Tells an allocation its number.
 *
 * @internal
 */
export let noteNumber: (allocation: Allocation, number: number) => void

/**
 * Gives an allocation its sections, if its class has none, once it has its number.
 *
 * @internal
 */
export let complete: (allocation: Allocation) => Allocation

/** The handle of an allocation, made when it is needed first. */
let toHandle: (allocation: Allocation) => AllocationHandle

let makeInFlightSection: (handle: AllocationHandle, index: number, place: Place) => InFlightSection

/**
 * An allocation that is being written and cannot be executed yet. Its addresses are final.
 *
 * It has one property of type {@link InFlightSection} for each section, by its name, and ends in one of two ways:
 * {@link InFlightAllocation.finalize} publishes it, {@link InFlightAllocation.abandon} gives it back. One that is merely
 * dropped is abandoned when it is collected.
 *
 * @example
 * ```ts
 * import { CodeMemory } from 'codeslab'
 *
 * const memory = new CodeMemory()
 * const inFlight = memory.allocate({ text: { protection: 'rx', size: 6 } })
 * inFlight.text.write(Uint8Array.of(0xb8, 42, 0, 0, 0, 0xc3)) // mov eax, 42; ret
 * const allocation = inFlight.finalize()
 * allocation.text.function({ return: 'int32' })() // 42
 * allocation.free()
 * ```
 *
 * @category Memory
 */
export class InFlightAllocation<Names extends string = string> {
  readonly #handle: AllocationHandle

  static {
    handleOf = value => (typeof value === 'object' && value !== null && #handle in value ? value.#handle : undefined)
    const sectionOf = (value: object, name: string, index: number) => {
      const handle = (value as InFlightAllocation).#handle
      const place = placeAt(handle, name, index)
      return (place.inFlight ??= makeInFlightSection(handle, index, place))
    }
    makeInFlight = handle => {
      const { names } = handle
      if (!names.stays) return addSections(new InFlightAllocation(construct, handle), names, sectionOf)
      names.inFlight ??= shape(InFlightAllocation as unknown as Shaped, names, sectionOf)
      return new names.inFlight(construct, handle) as InFlightAllocation
    }
  }

  private constructor(key: typeof construct, handle: AllocationHandle) {
    checkConstruct(key, 'InFlightAllocation', 'CodeMemory.allocate')
    this.#handle = handle
  }

  /**
   * Publishes it: code becomes executable, constants read-only, and the instruction cache coherent.
   *
   * @returns The published allocation, with the same sections at the same addresses.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_FINALIZED` or `ERR_CODESLAB_ABANDONED` if it is not in flight any more,
   * or with the code of the limit that the system met, which abandons it.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const inFlight = new CodeMemory().allocate({ table: { protection: 'ro', bytes: Buffer.from('constant') } })
   * const allocation = inFlight.finalize()
   * allocation.table.address === inFlight.table.address // true
   * ```
   */
  finalize(): Published<Names> {
    life.finalize(this.#handle.number)
    return makeAllocation(this.#handle) as Published<Names>
  }

  /**
   * Gives it back unpublished.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_FINALIZED` or `ERR_CODESLAB_ABANDONED` if it is not in flight any more.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory()
   * memory.allocate({ text: { protection: 'rx', size: 64 } }).abandon()
   * memory.stats().inFlight // 0
   * ```
   */
  abandon(): void {
    native.abandon(this.#handle.number)
  }

  /** Abandons it, unless it was finalized or abandoned before. */
  [Symbol.dispose](): void {
    if (native.stage(this.#handle.number) === 'in flight') this.abandon()
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    const name = `InFlightAllocation (${native.stage(this.#handle.number)})`
    return describe(name, regions(placesOf(this.#handle)), depth, options)
  }
}

/**
 * A section of an {@link InFlightAllocation}.
 *
 * @example
 * ```ts
 * import { CodeMemory, type InFlightSection } from 'codeslab'
 *
 * const fill = (section: InFlightSection, byte: number) => section.write(Buffer.alloc(section.size, byte))
 * fill(new CodeMemory().allocate({ text: { protection: 'rx', size: 16 } }).text, 0xcc)
 * ```
 *
 * @category Memory
 */
export class InFlightSection {
  readonly #handle: AllocationHandle
  readonly #index: number
  readonly #place: Place

  static {
    makeInFlightSection = (handle, index, place) => new InFlightSection(construct, handle, index, place)
  }

  private constructor(key: typeof construct, handle: AllocationHandle, index: number, place: Place) {
    checkConstruct(key, 'InFlightSection', 'a property of an InFlightAllocation')
    this.#handle = handle
    this.#index = index
    this.#place = place
  }

  /** Its name. */
  get name(): string {
    return this.#place.name
  }

  /** Where it will run or be read. */
  get address(): bigint {
    return addressOf(this.#place)
  }

  /** What it may be used for once it is published. */
  get protection(): Protection {
    return this.#place.protection
  }

  /** How many bytes it has. */
  get size(): number {
    return this.#place.size
  }

  /**
   * Copies bytes into it.
   *
   * What is never written is zero in data, and unspecified in code and constants.
   *
   * @param bytes - What to copy.
   * @param offset - Where to, in bytes from the start of the section.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_OUT_OF_BOUNDS` if they do not fit there, `ERR_CODESLAB_FINALIZED` or
   * `ERR_CODESLAB_ABANDONED` if it is too late. `TypeError` with `ERR_INVALID_ARG_TYPE` if they are no bytes.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const { text } = new CodeMemory().allocate({ text: { protection: 'rx', size: 16 } })
   * text.write(Uint8Array.of(0x0f, 0x0b), 14) // ud2
   * ```
   */
  write(bytes: ArrayBufferView | ArrayBuffer, offset = 0): void {
    life.write(this.#handle.number, this.#index, toOffset(offset), toBytes(bytes, 'bytes'))
  }

  /**
   * Makes it smaller: for a compiler that asks for as much as it may need and learns later how much it is. Its first `size`
   * bytes stay, and so do all addresses.
   *
   * What is behind the last section of a protection is given back at once; other sections only become smaller.
   *
   * @param size - How many bytes it shall have: at least one, and not more than it has.
   * @throws {@link CodeslabError} with `ERR_CODESLAB_OUT_OF_BOUNDS` if it would become larger, `ERR_CODESLAB_INVALID_SIZE`,
   * `ERR_CODESLAB_FINALIZED` or `ERR_CODESLAB_ABANDONED` if it is too late.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory()
   * const inFlight = memory.allocate({ text: { protection: 'rx', size: 4096 } })
   * inFlight.text.write(Uint8Array.of(0x8d, 0x04, 0x37, 0xc3)) // lea eax, [rdi + rsi]; ret
   * inFlight.text.shrink(4)
   * memory.stats().usedBytes // 16
   * ```
   */
  shrink(size: number): void {
    const bytes = toSize(size, this.#place.name)
    native.shrinkSection(this.#handle.number, this.#index, bytes)
    this.#place.size = bytes
  }

  /**
   * Refuses what only a published section has, with what to write instead.
   *
   * @internal
   */
  function(): never {
    throw unpublished(this.#place.name, 'function')
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return describe('InFlightSection', regions([this.#place]), depth, options)
  }
}

/**
 * A published allocation.
 *
 * It has one property of type {@link Section} for each section, by its name. Dropping the last reference to it and to the
 * functions made from it frees it when they are collected; {@link Allocation.free} does so at once.
 *
 * @example
 * ```ts
 * import { CodeMemory } from 'codeslab'
 *
 * const allocation = new CodeMemory()
 *   .allocate({ text: { protection: 'rx', bytes: Uint8Array.of(0xf3, 0x0f, 0x1e, 0xfa, 0xc3) } }) // endbr64; ret
 *   .finalize()
 * allocation.text.function({})()
 * ```
 *
 * @category Memory
 */
export class Allocation {
  readonly #names: Names
  /** Its handle; as long as nothing needs one, its number is enough, and this itself is what native code was told of. */
  #held: AllocationHandle | number
  /** What native code was told of in its place, for all of a batch. One that was freed does not keep the others. */
  #batch: object | undefined

  static {
    toHandle = allocation => {
      const held = allocation.#held
      if (typeof held !== 'number') return held
      const handle = makeAllocationHandle(held, allocation.#names, allocation.#batch ?? allocation)
      allocation.#held = handle
      return handle
    }
    const sectionOf = (value: object, name: string, index: number) => {
      const handle = toHandle(value as Allocation)
      const place = placeAt(handle, name, index)
      return (place.published ??= makeSection(handle, index, place))
    }
    const make = (names: Names, held: AllocationHandle | number, batch?: object) => {
      if (!names.stays) return new Allocation(construct, names, held, batch)
      names.published ??= shape(Allocation as unknown as Shaped, names, sectionOf)
      return new names.published(construct, names, held, batch) as Allocation
    }
    beginAllocation = (names, batch) => make(names, FREED_ALLOCATION, batch)
    noteNumber = (allocation, number) => {
      allocation.#held = number
    }
    complete = allocation =>
      allocation.#names.stays ? allocation : addSections(allocation, allocation.#names, sectionOf)
    makeAllocation = handle => complete(make(handle.names, handle))
  }

  private constructor(key: typeof construct, names: Names, held: AllocationHandle | number, batch?: object) {
    checkConstruct(key, 'Allocation', 'InFlightAllocation.finalize')
    this.#names = names
    this.#held = held
    this.#batch = batch
    markAsUncloneable(this)
  }

  /**
   * Opens an allocation that another thread of this process shared with {@link Allocation.share}: with the same sections.
   *
   * It is one allocation: a thread that frees it frees it for all threads.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_UNKNOWN_TOKEN` if the token stands for no allocation, or for one that is gone.
   * @example
   * ```ts
   * import { workerData } from 'node:worker_threads'
   * import { Allocation } from 'codeslab'
   *
   * const { state } = Allocation.open<'state'>(workerData.state)
   * const counters = new Int32Array(state.view().buffer)
   * Atomics.add(counters, 0, 1)
   * ```
   */
  static open<Names extends string = string>(token: string): Published<Names> {
    checkString(token, 'token')
    const handle = makeAllocationHandle(FREED_ALLOCATION, toNames([]))
    const { number, sections } = native.openSharedAllocation(handle, token)
    const [names, places] = [makeList<string>(), makeList<Place>()]
    for (let index = 0; index < sections.length; index++) {
      const section = sections[index] as Shared
      append(names, section.name)
      append(places, placeOf(section))
    }
    handle.number = number
    handle.names = toNames(names)
    handle.places = places
    return makeAllocation(handle) as Published<Names>
  }

  /** Whether it has been freed, by any thread. */
  get freed(): boolean {
    return native.isFreed(numberOf(this.#held))
  }

  /**
   * Gives the memory back. Functions made from it throw from now on; a call that is running, in any thread, finishes
   * first. Nothing else may execute it or refer to it any more.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_FREED` if it was freed before.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory()
   * memory.allocate({ state: { protection: 'rw', size: 4096 } }).finalize().free()
   * memory.stats().live // 0
   * ```
   */
  free(): void {
    const held = this.#held
    const isViewed = life.free(numberOf(held))
    const handle = typeof held === 'number' ? makeAllocationHandle(FREED_ALLOCATION, this.#names) : held
    handle.number = FREED_ALLOCATION
    handle.keeper = this.#batch = undefined
    if (handle.places === undefined) notePlaces(handle)
    this.#held = handle
    if (isViewed) announce()
  }

  /**
   * A token with which any thread of this process can {@link Allocation.open} it, while any thread has a reference to it.
   *
   * @throws {@link CodeslabError} with `ERR_CODESLAB_FREED`.
   * @example
   * ```ts
   * import { Worker } from 'node:worker_threads'
   * import { CodeMemory } from 'codeslab'
   *
   * const state = new CodeMemory().allocate({ state: { protection: 'rw', size: 4096 } }).finalize()
   * new Worker('./worker.js', { workerData: { state: state.share() } })
   * ```
   */
  share(): string {
    return native.shareAllocation(numberOf(this.#held), ordinary(copy(this.#names.list)))
  }

  /** Frees it, unless it was freed before. */
  [Symbol.dispose](): void {
    if (!this.freed) this.free()
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    const places = placesOf(toHandle(this))
    return describe(this.freed ? 'Allocation (freed)' : 'Allocation', regions(places), depth, options)
  }
}

/**
 * An {@link InFlightAllocation} with a property for each of its sections.
 *
 * @example
 * ```ts
 * import { CodeMemory, type InFlight } from 'codeslab'
 *
 * const inFlight: InFlight<'text'> = new CodeMemory().allocate({ text: { protection: 'rx', size: 16 } })
 * ```
 *
 * @category Memory
 */
export type InFlight<Names extends string> = InFlightAllocation<Names> & Readonly<Record<Names, InFlightSection>>

/**
 * An {@link Allocation} with a property for each of its sections.
 *
 * @example
 * ```ts
 * import { CodeMemory, type Published } from 'codeslab'
 *
 * const published: Published<'state'> = new CodeMemory().allocate({ state: { protection: 'rw', size: 8 } }).finalize()
 * ```
 *
 * @category Memory
 */
export type Published<Names extends string> = Allocation & Readonly<Record<Names, Section>>

/**
 * Publishes what is in flight: see {@link CodeMemory.finalizeAll}.
 *
 * @internal
 */
export function finalizeAll(memory: MemoryHandle, batch: readonly unknown[]): Allocation[] {
  const seen = new Set<unknown>()
  const members = toList(batch, 'batch', 'an array', (value, name) => {
    const handle = handleOf(value)
    if (handle === undefined) throw invalidType(name, 'an allocation in flight', value)
    if (has(seen, value)) throw invalidValue(name, 'there once only', value)
    add(seen, value)
    return { handle }
  })
  native.finalizeAll(memory, toNumbers(members))
  const published = makeList<Allocation>()
  for (let index = 0; index < members.length; index++) {
    append(published, makeAllocation((members[index] as { handle: AllocationHandle }).handle))
  }
  return ordinary(published)
}

/** The number of what an allocation holds. */
function numberOf(held: AllocationHandle | number): number {
  return typeof held === 'number' ? held : held.number
}

/** The place of a section of an allocation that has one of this name there. */
function placeAt(handle: AllocationHandle, name: string, index: number): Place {
  const place = placesOf(handle)[index]
  if (place?.name !== name) throw new TypeError(`there is no section ${name} in this allocation`)
  return place
}

type Shared = ReturnType<typeof native.openSharedAllocation>['sections'][number]

/** The place of a section that another thread has shared. */
function placeOf({ name, address, size, protection }: Shared): Place {
  const [low, high] = [toNumber(asIntN(32, address)), toNumber(address >> 32n)]
  return { name, low, high, size, protection, inFlight: undefined, published: undefined }
}

/** What is asked of a section in flight that only published ones can do. */
function unpublished(section: string, method: string): Error {
  const message =
    `section ${section} is in flight, so it cannot be called yet: publish it with finalize(), and call ${method}() ` +
    `of what that gives, as in allocate(…).finalize().${section}.${method}(signature)`
  return refusal('ERR_CODESLAB_NOT_EXECUTABLE', message, { section })
}

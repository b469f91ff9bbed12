/** Placing bytes by hand: one allocation, or many at once. */

import * as native from '#native'
import {
  beginAllocation,
  complete,
  finalizeAll,
  makeInFlight,
  noteNumber,
  type Allocation,
  type InFlight,
  type InFlightAllocation,
  type Published,
} from './allocation.ts'
import { handleOf, MemoryHandle, tellsTools } from './handle.ts'
import { append, makeList, ordinary } from './internal/intrinsics.ts'
import { life, numbers } from './internal/life.ts'
import {
  areNamed,
  place,
  placeAll,
  placeInFlight,
  toBatch,
  toLabels,
  toRequests,
  toWindows,
  type Requests,
} from './internal/request.ts'
import type { Placement, SectionRequest } from './request.ts'

/**
 * A memory in which bytes are placed by hand: what every {@link CodeMemory} can do with sections.
 *
 * @example
 * ```ts
 * import { CodeMemory, type PlacingMemory } from 'codeslab'
 *
 * const place = (memory: PlacingMemory, code: Uint8Array) => memory.publish({ text: { protection: 'rx', bytes: code } }).text
 * place(new CodeMemory(), Uint8Array.of(0xc3)).address
 * ```
 *
 * @category Memory
 */
export abstract class PlacingMemory extends MemoryHandle {
  /**
   * Places sections: all of them within reach of each other, or none.
   *
   * @param sections - What to place, by name. The names become properties of the result.
   * @param placement - Where it has to lie.
   * @returns The allocation in flight: writable, with its final addresses, and not yet executable.
   * @throws {@link CodeslabError} with
   * - `ERR_CODESLAB_INVALID_SIZE`, `ERR_CODESLAB_INVALID_ALIGNMENT` or `ERR_CODESLAB_INVALID_SECTION_NAME` for a section,
   *   `ERR_CODESLAB_EMPTY_REQUEST` for none;
   * - `ERR_CODESLAB_OUT_OF_BOUNDS` if `bytes` do not fit into `size`;
   * - `ERR_CODESLAB_TOO_LARGE`, `ERR_CODESLAB_CONFLICTING_WINDOWS` or `ERR_CODESLAB_OUT_OF_REACH` if there cannot be such a
   *   place, or none is free;
   * - the code of the limit that the system met, such as `ERR_CODESLAB_TOO_MANY_MAPPINGS`;
   * - `ERR_CODESLAB_COMMIT_BUDGET` or `ERR_CODESLAB_MAPPING_BUDGET` if it would take more than this memory may have;
   * - `ERR_CODESLAB_CLOSED` if this handle was disposed of.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const inFlight = new CodeMemory().allocate({
   *   text: { protection: 'rx', size: 64 },
   *   table: { protection: 'ro', bytes: Float64Array.of(0.5, 0.25) },
   *   state: { protection: 'rw', size: 4096 }, // zero-filled, costs nothing until it is touched
   * })
   * const distance = inFlight.table.address - inFlight.text.address // fits 32 bits
   * ```
   */
  allocate<Names extends string>(
    sections: Readonly<Record<Names, SectionRequest>>,
    placement?: Placement,
  ): InFlight<Names> {
    const requests = toRequests(sections)
    const windows = toWindows(placement, this.reach)
    // From here on no code of users runs.
    const handle = placeInFlight(handleOf(this), requests, windows)
    nameSections(this, handle.number, requests)
    return makeInFlight(handle) as InFlight<Names>
  }

  /**
   * Places sections whose bytes are known and publishes them: as {@link CodeMemory.allocate} and {@link InFlightAllocation.finalize},
   * in less time.
   *
   * @param sections - What to place, by name. The names become properties of the result.
   * @param placement - Where it has to lie.
   * @returns The published allocation.
   * @throws {@link CodeslabError} as {@link CodeMemory.allocate} and {@link InFlightAllocation.finalize}. Nothing is left behind then.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const code = Uint8Array.of(0x8d, 0x04, 0x37, 0xc3) // lea eax, [rdi + rsi]; ret
   * const { text } = new CodeMemory().publish({ text: { protection: 'rx', bytes: code } })
   * text.function({ return: 'int32', arguments: ['int32', 'int32'] })(40, 2) // 42
   * ```
   */
  publish<Names extends string>(
    sections: Readonly<Record<Names, SectionRequest>>,
    placement?: Placement,
  ): Published<Names> {
    const requests = toRequests(sections)
    const windows = toWindows(placement, this.reach)
    const isTold = tellsOf(this, requests)
    const allocation = beginAllocation(requests.names)
    const number = place(handleOf(this), requests, allocation, windows, !isTold)
    if (isTold) {
      // Names come before publishing, which tells them.
      nameSections(this, number, requests)
      life.finalize(number)
    }
    noteNumber(allocation, number)
    return complete(allocation) as Published<Names>
  }

  /**
   * Places and publishes many requests at once: as {@link CodeMemory.publish} for each, all of them or none, in less time and memory. A hundred
   * or two in one batch are as good as more.
   *
   * Each can be freed by itself. What is merely dropped is collected with the last of its batch.
   *
   * @param batch - What to place, by name, for each allocation. The names become properties of it.
   * @param placement - Where all of them have to lie.
   * @returns The published allocations in the same order.
   * @throws {@link CodeslabError} as {@link CodeMemory.publish}. Nothing is left behind then. `TypeError` with `ERR_INVALID_ARG_TYPE` for what
   * is no array.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * // mov eax, number; ret
   * const answer = (number: number) => ({ protection: 'rx', bytes: Uint8Array.of(0xb8, number, 0, 0, 0, 0xc3) }) as const
   * const [one, two] = new CodeMemory().publishAll([{ text: answer(1) }, { text: answer(2) }])
   * one.text.function({ return: 'int32' })() + two.text.function({ return: 'int32' })() // 3
   * ```
   */
  publishAll<const Batch extends readonly Readonly<Record<string, SectionRequest>>[]>(
    batch: Batch,
    placement?: Placement,
  ): PublishedRequests<Batch> {
    const all = toBatch(batch)
    const windows = toWindows(placement, this.reach)
    // From here on no code of users runs.
    const isTold = tellsOfAny(this, all)
    const keeper = isTold ? undefined : {}
    const published = makeList<Allocation>()
    for (let index = 0; index < all.length; index++) {
      append(published, beginAllocation((all[index] as Requests).names, keeper))
    }
    if (keeper === undefined) noteAll(published, publishNamed(this, all, published, windows))
    else {
      placeAll(handleOf(this), all, keeper, windows)
      noteAll(published, numbers)
    }
    for (let index = 0; index < published.length; index++) complete(published[index] as Allocation)
    return ordinary(published) as PublishedRequests<Batch>
  }

  /**
   * Publishes many allocations at once: as {@link InFlightAllocation.finalize} for each, but all processors are made to notice
   * once and not every time.
   *
   * @param batch - Allocations in flight, each of them once.
   * @returns The published allocations in the same order.
   * @throws {@link CodeslabError} with
   * - `ERR_CODESLAB_FINALIZED` or `ERR_CODESLAB_ABANDONED` if one is not in flight any more. The others stay as they are then;
   * - the code of the limit that the system met. All of them are abandoned then;
   * - `ERR_CODESLAB_CLOSED` if this handle was disposed of.
   *
   * `TypeError` with `ERR_INVALID_ARG_TYPE` for something else than allocations in flight, or `ERR_INVALID_ARG_VALUE` if one is
   * there twice.
   * @example
   * ```ts
   * import { CodeMemory } from 'codeslab'
   *
   * const memory = new CodeMemory()
   * const place = (...code: number[]) => memory.allocate({ text: { protection: 'rx', bytes: Uint8Array.from(code) } })
   * const [one, two] = memory.finalizeAll([
   *   place(0xb8, 1, 0, 0, 0, 0xc3), // mov eax, 1; ret
   *   place(0xb8, 2, 0, 0, 0, 0xc3), // mov eax, 2; ret
   * ])
   * one.text.function({ return: 'int32' })() + two.text.function({ return: 'int32' })() // 3
   * ```
   */
  finalizeAll<const Batch extends readonly InFlightAllocation<never>[]>(batch: Batch): PublishedBatch<Batch> {
    return finalizeAll(handleOf(this), batch) as PublishedBatch<Batch>
  }
}

/**
 * What {@link CodeMemory.finalizeAll} makes of a batch: the published allocation of each, in the same order.
 *
 * @example
 * ```ts
 * import { CodeMemory, type InFlight, type PublishedBatch } from 'codeslab'
 *
 * const memory = new CodeMemory()
 * const batch: InFlight<'text'>[] = [memory.allocate({ text: { protection: 'rx', size: 64 } })]
 * const published: PublishedBatch<typeof batch> = memory.finalizeAll(batch)
 * ```
 *
 * @category Memory
 */
export type PublishedBatch<Batch extends readonly InFlightAllocation<never>[]> = {
  -readonly [Index in keyof Batch]: Batch[Index] extends InFlightAllocation<infer Names> ? Published<Names> : never
}

/**
 * What {@link CodeMemory.publishAll} makes of a batch: the published allocation of each request, in the same order.
 *
 * @example
 * ```ts
 * import { CodeMemory, type PublishedRequests } from 'codeslab'
 *
 * const requests = [{ state: { protection: 'rw', size: 8 } }, { table: { protection: 'rw', size: 8 } }] as const
 * const [first, second]: PublishedRequests<typeof requests> = new CodeMemory().publishAll(requests)
 * first.state.address - second.table.address
 * ```
 *
 * @category Memory
 */
export type PublishedRequests<Batch extends readonly object[]> = {
  -readonly [Index in keyof Batch]: Published<Extract<keyof Batch[Index], string>>
}

/** Tells allocations their numbers. */
function noteAll(allocations: readonly Allocation[], numbers: ArrayLike<number>): void {
  for (let index = 0; index < allocations.length; index++)
    noteNumber(allocations[index] as Allocation, numbers[index] ?? 0)
}

/** Whether debuggers or profilers are told of sections, or lookups shall find them by names of their own. */
function tellsOf(memory: PlacingMemory, { sections }: Requests): boolean {
  return tellsTools(memory) || areNamed(sections)
}

function tellsOfAny(memory: PlacingMemory, all: readonly Requests[]): boolean {
  for (let index = 0; index < all.length; index++) {
    if (tellsOf(memory, all[index] as Requests)) return true
  }
  return false
}

/** Says what the sections of an allocation in flight are called, to those that are told. */
function nameSections(memory: PlacingMemory, number: number, requests: Requests): void {
  if (!tellsOf(memory, requests)) return
  const { sections } = requests
  const isNamed = areNamed(sections)
  const labels = toLabels(sections)
  if (labels.length === 1) native.nameSection(handleOf(memory), number, labels[0] ?? '', isNamed)
  else native.nameSections(handleOf(memory), number, labels, isNamed)
}

/** Places and publishes requests of which others are told, one for each keeper: names come before publishing, which tells them. */
function publishNamed(
  memory: PlacingMemory,
  all: readonly Requests[],
  keepers: readonly object[],
  windows: BigUint64Array | undefined,
): number[] {
  const numbers = makeList<number>()
  try {
    for (let index = 0; index < all.length; index++) {
      const requests = all[index] as Requests
      const number = place(handleOf(memory), requests, keepers[index] as object, windows, false)
      append(numbers, number)
      nameSections(memory, number, requests)
    }
  } catch (error) {
    for (let index = 0; index < numbers.length; index++) native.abandon(numbers[index] ?? 0)
    throw error
  }
  native.finalizeAll(handleOf(memory), numbers)
  return numbers
}

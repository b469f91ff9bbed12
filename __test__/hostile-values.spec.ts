/**
 * The whole API with hostile values at random: getters and proxies that detach, resize, free, allocate or throw while values
 * are read, and values that lie about what they are.
 *
 * Whatever they do, a call returns or throws an error with a code; what is placed has its bytes; native code gets the memory
 * that was passed; and nothing leaks. `CODESLAB_HOSTILE_CASES=1000000 npx ava --timeout=2h __test__/hostile-values.spec.ts`
 * runs a million cases; `CODESLAB_HOSTILE_SEED` begins elsewhere.
 */

import test from 'ava'
import fc from 'fast-check'
import { setImmediate } from 'node:timers/promises'
import { CodeMemory, Image, type Allocation, type InFlightAllocation, type Section } from '../index.ts'
import { compile } from './helpers/compile.ts'
import { detach, elsewhere, Liar, resizable } from './helpers/hostile.ts'
import { answer, loadByte, loadWord, ret } from './helpers/machine-code.ts'
import { types } from './helpers/relocated-code.ts'
import { Tape } from './helpers/tape.ts'

const cases = Number(process.env['CODESLAB_HOSTILE_CASES'] ?? 5000)
const firstSeed = Number(process.env['CODESLAB_HOSTILE_SEED'] ?? 1)

/** Cases between two turns of the event loop, in which Node runs finalizers. */
const CHUNK = 500

const object = compile('int seven(void) { return 7; }')
const needy = compile('extern int other(void); int eight(void) { return other() + 1; }')
const foreign = elsewhere('({ Uint8Array, SharedArrayBuffer, DataView, Map, Array })') as {
  Uint8Array: Uint8ArrayConstructor
  SharedArrayBuffer: SharedArrayBufferConstructor
  DataView: DataViewConstructor
  Map: MapConstructor
  Array: ArrayConstructor
}

const tools = new CodeMemory()
const { text: word, first } = tools
  .allocate({
    text: { protection: 'rx', bytes: loadWord },
    first: { protection: 'rx', bytes: loadByte },
  })
  .finalize()
const peek = word.function({ return: 'uint64', arguments: ['pointer'] })
const firstByte = first.function({ return: 'uint8', arguments: ['pointer', 'pointer', 'pointer'] })

/** What a getter throws: the user's own error, which passes through as it is. */
const own = new Error('thrown by a getter')

/** Bytes that a case has made. */
interface Made {
  readonly value: unknown
  /** What they are; `undefined` if they are none. */
  readonly content: Uint8Array | undefined
  /** How many are left. */
  readonly left: () => number
}

/** A case: what it has made so far, and what it decides next. */
class Case {
  readonly tape: Tape
  readonly memory: CodeMemory
  readonly #spoil: (() => void)[] = []
  readonly inFlight: InFlightAllocation<never>[] = []
  readonly published: (Allocation | Image)[] = []

  constructor(tape: Tape, memory: CodeMemory) {
    this.tape = tape
    this.memory = memory
  }

  /** What a getter does besides giving a value. */
  act(): void {
    const acts = [
      () => undefined,
      () => this.#spoil[this.tape.below(this.#spoil.length || 1)]?.(),
      () => this.published.at(-1)?.[Symbol.dispose](),
      () => this.inFlight.at(-1)?.[Symbol.dispose](),
      () => {
        this.place()
      },
      () => {
        this.memory.trim()
      },
      () => {
        throw own
      },
    ]
    this.tape.pick(acts)()
  }

  /** Something small and good. */
  place(): void {
    this.inFlight.push(this.memory.allocate({ text: { protection: 'rx', bytes: answer(1) } }))
  }

  /** Content that differs from that of others. */
  #content(): Uint8Array {
    const length = this.tape.pick([8, 1, 3, 16, 40, 64])
    const start = this.tape.below(256)
    return Uint8Array.from({ length }, (_, index) => start + index)
  }

  bytes(): Made {
    const content = this.#content()
    const { length } = content
    const fixed = (value: ArrayBufferView | ArrayBuffer): Made => {
      const view = ArrayBuffer.isView(value) ? value : new Uint8Array(value)
      this.#spoil.push(() => {
        if (!(view.buffer instanceof SharedArrayBuffer)) detach(view)
      })
      return { value, content, left: () => (view instanceof Liar ? length : view.byteLength) }
    }
    const shared = (buffer: SharedArrayBuffer): Made => {
      new Uint8Array(buffer).set(content)
      return { value: this.tape.isOneIn(2) ? buffer : new Uint8Array(buffer), content, left: () => length }
    }
    const none = (value: unknown): Made => ({ value, content: undefined, left: () => 0 })
    const kinds: (() => Made)[] = [
      () => fixed(content.slice()),
      () => fixed(Buffer.from(content.slice().buffer)),
      () => fixed(content.slice().buffer),
      () => fixed(new DataView(content.slice().buffer)),
      () => fixed(Liar.from(content)),
      () => fixed(new foreign.Uint8Array(content)),
      () => fixed(new foreign.DataView(content.slice().buffer)),
      () => shared(new SharedArrayBuffer(length)),
      () => shared(new foreign.SharedArrayBuffer(length)),
      () => {
        const { view, resize } = resizable(content)
        this.#spoil.push(() => {
          resize(this.tape.pick([0, 1, length, 100]))
        })
        return { value: view, content, left: () => view.length }
      },
      () => {
        const made = fixed(content.slice())
        detach(made.value as Uint8Array)
        return made
      },
      () => none(new Proxy(content, {})),
      () => none(this.tape.pick([undefined, null, 7, 'text', {}, [1, 2], 7n, content.length])),
    ]
    return this.tape.pick(kinds)()
  }

  /** A value, or one that is none. */
  scalar(good: readonly unknown[]): unknown {
    if (!this.tape.isOneIn(4)) return this.tape.pick(good)
    return this.tape.pick<unknown>([
      ...[undefined, null, NaN, -1, 0.5, Infinity, 2 ** 53, -0, 2n ** 64n, -1n, '', 'rx', '8', true, {}, []],
      { valueOf: () => (this.act(), 8), toString: () => (this.act(), '8') },
      Symbol('8'),
    ])
  }

  /** An object with these properties, some of which act when they are read. */
  object(properties: Readonly<Record<string, unknown>>): object {
    const plain = { ...properties }
    const names = Object.keys(plain)
    switch (this.tape.below(8)) {
      case 4:
      case 5: {
        const name = this.tape.pick(names.length > 0 ? names : ['none'])
        const value = plain[name]
        return Object.defineProperty(plain, name, { enumerable: true, get: () => (this.act(), value) })
      }
      case 6:
        return new Proxy(plain, { get: (target, name) => (this.act(), Reflect.get(target, name) as unknown) })
      case 7:
        return new Proxy(plain, { ownKeys: target => (this.act(), Reflect.ownKeys(target)) })
      default:
        return plain
    }
  }

  list(items: unknown[]): unknown {
    const kinds = [
      () => items,
      () => foreign.Array.from(items),
      () => new Proxy(items, { get: (target, name) => (this.act(), Reflect.get(target, name) as unknown) }),
      () =>
        new Proxy(items, { get: (target, name) => (name === 'length' ? 3 : (Reflect.get(target, name) as unknown)) }),
      () => Object.assign([], { length: 3 }, items),
      () => items[0],
    ]
    return this.tape.isOneIn(3) ? this.tape.pick(kinds)() : items
  }
}

/** What can be done, each as something that may be refused. */
const operations: ((run: Case) => void)[] = [
  allocate,
  write,
  shrink,
  publish,
  publishAll,
  link,
  linkGraph,
  call,
  look,
  open,
]

function allocate(run: Case): void {
  const names = ['text', 'table', 'state', 'finalize', '__proto__'].slice(0, run.tape.pick([1, 2, 3, 3, 4, 5]))
  const made = new Map<string, Made>()
  const sections = names.map(name => {
    const bytes = run.bytes()
    made.set(name, bytes)
    const protection = run.scalar(['rx', 'ro', 'rw'])
    const size = run.tape.isOneIn(3) ? { size: run.scalar([64, 128, 1]) } : {}
    const align = run.tape.isOneIn(4) ? { align: run.scalar([1, 16, 64]) } : {}
    return [name, run.object({ protection, bytes: bytes.value, ...size, ...align })] as const
  })
  const near = {
    near: run.tape.isOneIn(2) ? word.address : run.object({ address: word.address, reach: run.scalar([2 ** 31]) }),
  }
  const within = { within: run.list([run.object({ first: run.scalar([0, 1n]), last: run.scalar([2n ** 47n]) })]) }
  const placement = run.tape.pick([undefined, near, within, { ...near, ...within }])
  const request = run.object(Object.fromEntries(sections)) as Record<string, never>
  const inFlight = run.memory.allocate(request, placement && run.object(placement))
  const { text } = inFlight
  run.inFlight.push(inFlight)
  const published = inFlight.finalize() as unknown as Record<string, Section>
  run.published.push(published as unknown as Allocation)
  for (const [name, bytes] of made) check(published[name], bytes)
  if (text?.address !== published['text']?.address) throw new Error('a section has moved')
}

/** A section has the bytes that were passed for it. */
function check(section: Section | undefined, { content, left }: Made): void {
  if (section === undefined || content === undefined) return
  const length = Math.min(left(), content.length)
  if (length === 0 && content.length > 0 && section.size > 0 && left() === 0) throw new Error('bytes are lost')
  expectAt(section.address, content.subarray(0, length))
}

function expectAt(address: bigint, content: Uint8Array): void {
  for (let at = 0; at < content.length; at += 8) {
    const rest = Buffer.from(content.subarray(at, at + 8))
    const mask = 2n ** BigInt(rest.length * 8) - 1n
    const expected = Buffer.concat([rest, Buffer.alloc(8)]).readBigUInt64LE()
    if ((peek(address + BigInt(at)) & mask) !== expected) throw new Error('a section has other bytes')
  }
}

function write(run: Case): void {
  const inFlight = run.memory.allocate({ state: { protection: 'rw', size: 64 } })
  run.inFlight.push(inFlight)
  const bytes = run.bytes()
  const offset = run.scalar([0, 8, 24])
  inFlight.state.write(bytes.value as Uint8Array, offset as number)
  const { state } = inFlight.finalize()
  run.published.push(state as never)
  run.published.pop()
  if (bytes.content) expectAt(state.address + BigInt((offset ?? 0) as number), bytes.content.subarray(0, bytes.left()))
}

function shrink(run: Case): void {
  const inFlight = run.memory.allocate({ text: { protection: 'rx', size: 64 } })
  run.inFlight.push(inFlight)
  inFlight.text.shrink(run.scalar([64, 16, 1, 65]) as number)
  inFlight.text.write(answer(1), run.scalar([0, 10, 58]) as number)
}

function publish(run: Case): void {
  const { text } = run.memory.allocate({ text: { protection: 'rx', bytes: answer(7) } }).finalize()
  const signature = run.object({
    return: run.scalar(['int32', 'void']),
    arguments: run.list([run.scalar(['pointer', 'int32'])]),
  })
  const call = text.function(
    signature as { return: 'int32' },
    run.scalar([0, answer(7).length - ret.length]) as number,
  ) as (value: unknown) => unknown
  if (run.tape.isOneIn(8)) call(run.scalar([1, 7n]))
}

function publishAll(run: Case): void {
  run.place()
  run.place()
  const batch = run.list([...run.inFlight, ...(run.tape.isOneIn(4) ? [run.inFlight[0]] : [])])
  run.published.push(...run.memory.finalizeAll(batch as InFlightAllocation<never>[]))
}

function link(run: Case): void {
  const file = (good: Uint8Array) => {
    const bytes = (run.tape.isOneIn(8) ? good.subarray(0, 100) : good).slice()
    const made = run.bytes().value
    const content = run.tape.isOneIn(6) ? made : run.tape.pick([bytes, bytes.buffer, new foreign.Uint8Array(bytes)])
    return run.tape.isOneIn(2) ? content : run.object({ name: run.scalar(['a.o']), bytes: content })
  }
  const target = run.tape.pick([
    word.address,
    7n,
    peek,
    Object.defineProperty(() => 1, 'pointer', { get: () => (run.act(), 7n) }),
  ])
  const entries = { other: run.tape.isOneIn(6) ? run.scalar([7n]) : target }
  const externals = run.tape.pick([
    entries,
    run.object(entries),
    new Map(Object.entries(entries)),
    new foreign.Map(Object.entries(entries)),
  ])
  const options = run.object({
    externals,
    processSymbols: run.scalar([false, true]),
    roots: run.list(run.tape.isOneIn(3) ? [run.scalar(['seven', 'eight'])] : []),
    libraries: run.list(run.tape.isOneIn(3) ? [file(needy)] : []),
  })
  const image = run.memory.link(run.list([file(object)]) as Uint8Array[], options)
  run.published.push(image)
  for (const symbol of image.symbols()) run.memory.find(symbol.address)
}

function linkGraph(run: Case): void {
  const bytes = run.bytes()
  const relocation = run.object({
    offset: run.scalar([0]),
    type: run.scalar([types.word64]),
    symbol: run.scalar(['table', 'other']),
    addend: run.scalar([0, -1n]),
  })
  const image = run.memory.link(
    run.object({
      name: run.scalar(['made.s']),
      sections: run.list([
        run.object({ name: '.rodata', protection: 'ro', bytes: bytes.value, align: run.scalar([16]) }),
        run.object({
          name: '.data',
          protection: 'rw',
          size: 16,
          relocations: run.list(run.tape.isOneIn(3) ? [relocation] : []),
        }),
      ]),
      symbols: run.list([
        run.object({ name: 'table', section: '.rodata', size: run.scalar([1]) }),
        run.object({
          name: run.scalar(['state']),
          section: '.data',
          offset: run.scalar([0, 8]),
          binding: run.scalar(['weak']),
        }),
      ]),
    }) as never,
    run.object({ externals: { other: 7n } }),
  )
  run.published.push(image)
  // A graph has its bytes as they were when they were read, so what a getter did since makes no difference.
  if (bytes.content) expectAt(image.address('table'), bytes.content.subarray(0, bytes.left() || 1))
}

function call(run: Case): void {
  const bytes = run.bytes()
  if (bytes.content === undefined || bytes.value instanceof SharedArrayBuffer) return
  const pointer = () => Object.defineProperty(() => 1, 'pointer', { get: () => (run.act(), run.scalar([0n])) })
  const other = () => run.tape.pick([null, pointer(), run.bytes().value, peek])
  const result = firstByte(bytes.value as Uint8Array, other() as null, other() as null)
  if (result !== bytes.content[0]) throw new Error('native code got other memory')
}

function look(run: Case): void {
  run.memory.find(run.scalar([0n, word.address, 2n ** 64n - 1n]) as bigint)
  run.memory.endGracePeriod(run.scalar([run.memory.beginGracePeriod()]) as bigint)
  Image.open(run.scalar(['codeslab-image-1-0', run.memory.share()]) as string)
}

function open(run: Case): void {
  const options = run.object({
    blockSize: run.scalar([2 ** 20]),
    writer: run.scalar(['auto', 'dual-mapping', 'pencil']),
    codeModel: run.scalar(['small', 'large', 'tiny']),
    quarantine: run.scalar(['off', 'trapping']),
    maxCommitted: run.scalar([2 ** 24]),
  })
  const memory = new CodeMemory(options)
  memory.allocate({ text: { protection: 'rx', size: 1 } }).abandon()
  memory.dispose()
  memory.stats()
}

/** Whether an error says with a code what was refused. The engine's own, of revoked proxies for example, are `TypeError`s. */
function isTyped(error: unknown): boolean {
  if (error === own || error instanceof TypeError || error instanceof RangeError) return true
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' && code.startsWith('ERR_')
}

/** What is hostile may be the tape to its end; what it made is given back. */
function runCase(bytes: Uint8Array, memory: CodeMemory): void {
  const run = new Case(new Tape(bytes), memory)
  do {
    try {
      run.tape.pick(operations)(run)
    } catch (error) {
      if (!isTyped(error)) throw error
    }
  } while (!run.tape.isOver)
  for (const made of [...run.inFlight, ...run.published]) made[Symbol.dispose]()
}

test('hostile values do no harm anywhere: calls return or throw a typed error, bytes arrive, nothing leaks', async t => {
  const memory = new CodeMemory({ quarantine: 'off' })
  const tape = fc.uint8Array({ minLength: 4, maxLength: 48 })
  for (let done = 0; done < cases; done += CHUNK) {
    fc.assert(
      fc.property(tape, bytes => {
        runCase(bytes, memory)
      }),
      { numRuns: Math.min(CHUNK, cases - done), seed: firstSeed + done, includeErrorInReport: true },
    )
    await setImmediate()
  }
  memory.trim()
  t.true(memory.stats().live < 10_000, 'what was dropped is collected')
  t.is(firstByte(Uint8Array.of(7), null, null), 7)
})

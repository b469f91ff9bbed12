/**
 * Graphs as native code takes them: one run of bytes, so that a graph of any size crosses in one piece.
 *
 * The format is that of `crates/codeslab-node/src/graph.rs`. What contradicts itself by name is refused here, because names
 * become indices here; what the numbers mean is for the linker to say. `link.ts` uses this.
 */

import type { CodeslabError } from '../errors.ts'
import type { Graph, GraphRelocation, GraphSection, GraphSymbol } from '../graph.ts'
import {
  checkShape,
  checkString,
  choose,
  invalidType,
  names,
  outOfRange,
  toAddress,
  toBytes,
  toCount,
} from './checks.ts'
import { Output } from './output.ts'
import { protections } from './protection.ts'
import { refusal } from './refusal.ts'

const graphNames = names<Graph>({ name: true, sections: true, symbols: true })
const sectionNames = names<GraphSection>({
  name: true,
  protection: true,
  align: true,
  bytes: true,
  size: true,
  relocations: true,
})
const symbolNames = names<GraphSymbol>({
  name: true,
  section: true,
  offset: true,
  address: true,
  size: true,
  binding: true,
})
const relocationNames = names<GraphRelocation>({ offset: true, type: true, symbol: true, addend: true })

/** As `graph.rs` numbers them. */
const bindings = new Map<unknown, number>([
  [undefined, 0],
  ['global', 0],
  ['weak', 1],
  ['local', 2],
])

/** The binding of what only this graph sees. */
const local = 2

/** The tags of `graph.rs`: how a symbol is defined, and what a section holds. */
const tags = { undefined: 0, section: 1, absolute: 2, zeros: 0, bytes: 1 } as const

/**
 * The graph as bytes, in the format that `graph.rs` describes and reads.
 */
export function encodeGraph(graph: Graph, name: string): Uint8Array {
  return new Encoder(graph, name).encode()
}

class Encoder {
  readonly #graph: Graph
  readonly #name: string
  readonly #output = new Output()
  /** The index of each section by its name. */
  readonly #sections = new Map<string, number>()
  /** The index of each symbol by its name, in the order in which they are written. */
  readonly #symbols = new Map<string, number>()
  /** The index of each type of relocation by its name: many relocations have few types, however long a name of one is. */
  readonly #types = new Map<string, number>()
  /** What writes each symbol. */
  readonly #definitions: (() => void)[] = []

  constructor(graph: Graph, name: string) {
    this.#graph = graph
    this.#name = name
  }

  encode(): Uint8Array {
    checkShape(this.#graph, this.#name, graphNames)
    const { sections, symbols = [] } = this.#graph
    if (!Array.isArray(sections)) throw invalidType(`sections of ${this.#name}`, 'an array', sections)
    if (!Array.isArray(symbols)) throw invalidType(`symbols of ${this.#name}`, 'an array', symbols)
    this.#output.text(this.#name)
    this.#output.number(sections.length)
    for (const section of sections as readonly GraphSection[]) this.#section(section)
    for (const symbol of symbols as readonly GraphSymbol[]) this.#define(symbol)
    const relocations = (sections as readonly GraphSection[]).flatMap((section, index) => this.#collect(section, index))
    this.#output.number(this.#definitions.length)
    for (const write of this.#definitions) write()
    this.#output.number(this.#types.size)
    for (const type of this.#types.keys()) this.#output.text(type)
    this.#output.number(relocations.length)
    for (const write of relocations) write()
    return this.#output.take()
  }

  #section(section: GraphSection): void {
    checkShape(section, `section of ${this.#name}`, sectionNames)
    const { name, protection, bytes, size } = section
    checkString(name, `name of a section of ${this.#name}`)
    if (this.#sections.has(name)) throw this.#contradiction('two sections have this name', { section: name })
    this.#sections.set(name, this.#sections.size)
    const where = `of section ${name}`
    this.#output.text(name)
    this.#output.byte(choose(protection, `protection ${where}`, protections))
    this.#output.number(toCount(section.align ?? 16, `align ${where}`))
    if ((bytes === undefined) === (size === undefined)) {
      throw this.#contradiction('a section has either bytes or a size', { section: name })
    }
    if (bytes === undefined) {
      this.#output.byte(tags.zeros)
      this.#output.number(toCount(size, `size ${where}`))
    } else {
      this.#output.byte(tags.bytes)
      this.#output.sized(toBytes(bytes, `bytes ${where}`))
    }
  }

  #define(symbol: GraphSymbol): void {
    checkShape(symbol, `symbol of ${this.#name}`, symbolNames)
    const { name, section, address, offset = 0, size = 0, binding } = symbol
    checkString(name, `name of a symbol of ${this.#name}`)
    if (this.#symbols.has(name)) throw this.#contradiction('two symbols have this name', { symbol: name })
    if ((section === undefined) === (address === undefined)) {
      throw this.#contradiction('a symbol has either a section or an address', { symbol: name })
    }
    const where = `of symbol ${name}`
    const bindingIndex = choose(binding, `binding ${where}`, bindings)
    const length = toCount(size, `size ${where}`)
    if (section === undefined) {
      const value = toAddress(address, `address ${where}`)
      this.#add(name, bindingIndex, length, () => {
        this.#output.byte(tags.absolute)
        this.#output.word(value)
      })
    } else {
      this.#place(name, bindingIndex, length, this.#sectionIndex(section, name), toCount(offset, `offset ${where}`))
    }
  }

  #place(name: string, binding: number, size: number, section: number, offset: number): number {
    return this.#add(name, binding, size, () => {
      this.#output.byte(tags.section)
      this.#output.number(section)
      this.#output.number(offset)
    })
  }

  #add(name: string, binding: number, size: number, define: () => void): number {
    const index = this.#definitions.length
    this.#symbols.set(name, index)
    this.#definitions.push(() => {
      this.#output.text(name)
      define()
      this.#output.byte(binding)
      this.#output.number(size)
    })
    return index
  }

  #sectionIndex(section: string, symbol: string): number {
    checkString(section, `section of symbol ${symbol}`)
    const index = this.#sections.get(section)
    if (index === undefined)
      throw this.#contradiction('a symbol lies in a section that is not there', { symbol, section })
    return index
  }

  /** Checks the relocations of a section and yields what writes each. */
  #collect({ name, relocations = [] }: GraphSection, section: number): (() => void)[] {
    if (!Array.isArray(relocations)) throw invalidType(`relocations of section ${name}`, 'an array', relocations)
    return (relocations as readonly GraphRelocation[]).map(relocation => {
      const where = `of a relocation of section ${name}`
      checkShape(relocation, `relocation of section ${name}`, relocationNames)
      checkString(relocation.type, `type ${where}`)
      checkString(relocation.symbol, `symbol ${where}`)
      const offset = toCount(relocation.offset, `offset ${where}`)
      const addend = toAddend(relocation.addend ?? 0, `addend ${where}`)
      const type = this.#typeIndex(relocation.type)
      const symbol = this.#referTo(relocation.symbol)
      return () => {
        this.#output.number(section)
        this.#output.number(offset)
        this.#output.number(type)
        this.#output.number(symbol)
        this.#output.word(addend)
      }
    })
  }

  #typeIndex(type: string): number {
    const index = this.#types.get(type) ?? this.#types.size
    this.#types.set(type, index)
    return index
  }

  /** The index of a symbol that a relocation names: a defined one, the start of a section, or an external. */
  #referTo(name: string): number {
    const known = this.#symbols.get(name)
    if (known !== undefined) return known
    const section = this.#sections.get(name)
    if (section !== undefined) return this.#place(name, local, 0, section, 0)
    return this.#add(name, 0, 0, () => {
      this.#output.byte(tags.undefined)
    })
  }

  #contradiction(reason: string, facts: Readonly<Record<string, string>>): CodeslabError {
    const about = Object.entries(facts).map(([what, name]) => `${what} ${name}`)
    const message = `${this.#name}: ${about.join(', ')}: ${reason}`
    return refusal('ERR_CODESLAB_INVALID_GRAPH', message, { object: this.#name, ...facts, reason })
  }
}

/** A signed number of 64 bits. */
function toAddend(value: unknown, name: string): bigint {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw outOfRange(name, 'a safe integer', value)
    return BigInt(value)
  }
  if (typeof value !== 'bigint') throw invalidType(name, 'a number or a bigint', value)
  if (BigInt.asIntN(64, value) !== value) throw outOfRange(name, 'from -2n ** 63n to 2n ** 63n - 1n', value)
  return value
}

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
  choices,
  choose,
  invalidType,
  names,
  outOfRange,
  toAddress,
  toBytes,
  toCount,
  toList,
} from './checks.ts'
import { append, asIntN, get, isSafeInteger, makeList, set, toBigInt } from './intrinsics.ts'
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
const bindings = choices<number>([
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

/** A relocation that has been read; its symbol has no index before all of them are known. */
interface Relocation {
  readonly section: number
  readonly offset: number
  readonly type: number
  readonly symbol: string
  readonly addend: bigint
}

/** A symbol that has been read: where it lies in a section, or its address, or neither, which makes it an external. */
interface Definition {
  readonly name: string
  readonly binding: number
  readonly size: number
  readonly section?: number
  readonly offset?: number
  readonly address?: bigint
}

class Encoder {
  readonly #graph: Graph
  readonly #name: string
  /** The index of each section by its name. */
  readonly #sections = new Map<string, number>()
  /** The index of each symbol by its name. */
  readonly #symbols = new Map<string, number>()
  /** The symbols in the order in which they are written. */
  readonly #definitions = makeList<Definition>()
  readonly #relocations = makeList<Relocation>()
  /** The index of each type of relocation by its name: many relocations have few types, however long a name of one is. */
  readonly #types = new Map<string, number>()
  /** Those names by their index. */
  readonly #typeNames = makeList<string>()

  constructor(graph: Graph, name: string) {
    this.#graph = graph
    this.#name = name
  }

  encode(): Uint8Array {
    checkShape(this.#graph, this.#name, graphNames)
    const { sections, symbols = [] } = this.#graph
    const contents = new Output()
    const list = toList(sections, `sections of ${this.#name}`, 'an array', (section, _, index) => {
      this.#section(contents, section, index)
    })
    toList(symbols, `symbols of ${this.#name}`, 'an array', symbol => {
      this.#define(symbol)
    })
    return this.#write(list.length, contents.take())
  }

  /** Runs no code of users. */
  #write(sections: number, contents: Uint8Array): Uint8Array {
    const output = new Output()
    output.text(this.#name)
    output.number(sections)
    output.raw(contents)
    const references = this.#references()
    output.number(this.#definitions.length)
    for (let index = 0; index < this.#definitions.length; index++) {
      writeDefinition(output, this.#definitions[index] as Definition)
    }
    output.number(this.#typeNames.length)
    for (let index = 0; index < this.#typeNames.length; index++) output.text(this.#typeNames[index] as string)
    output.number(references.length)
    for (let index = 0; index < references.length; index++) {
      writeRelocation(output, this.#relocations[index] as Relocation, references[index] as number)
    }
    return output.take()
  }

  #section(output: Output, section: unknown, index: number): void {
    checkShape(section, `section of ${this.#name}`, sectionNames)
    // The bytes last: no getter comes between reading and copying them.
    const { name, protection, align = 16, size, bytes } = section as GraphSection
    checkString(name, `name of a section of ${this.#name}`)
    if (get(this.#sections, name) !== undefined) {
      throw this.#contradiction('two sections have this name', 'section', name)
    }
    set(this.#sections, name, index)
    const where = `of section ${name}`
    output.text(name)
    output.byte(choose(protection, `protection ${where}`, protections))
    output.number(toCount(align, `align ${where}`))
    if ((bytes === undefined) === (size === undefined)) {
      throw this.#contradiction('a section has either bytes or a size', 'section', name)
    }
    if (bytes === undefined) {
      output.byte(tags.zeros)
      output.number(toCount(size, `size ${where}`))
    } else {
      output.byte(tags.bytes)
      output.sized(toBytes(bytes, `bytes ${where}`))
    }
    const { relocations = [] } = section as GraphSection
    toList(relocations, `relocations ${where}`, 'an array', relocation => {
      append(this.#relocations, this.#relocation(relocation, name, index))
    })
  }

  #relocation(relocation: unknown, name: string, section: number): Relocation {
    const where = `of a relocation of section ${name}`
    checkShape(relocation, `relocation of section ${name}`, relocationNames)
    const { offset, type, symbol, addend = 0 } = relocation as GraphRelocation
    checkString(type, `type ${where}`)
    checkString(symbol, `symbol ${where}`)
    return {
      section,
      offset: toCount(offset, `offset ${where}`),
      type: this.#typeIndex(type),
      symbol,
      addend: toAddend(addend, `addend ${where}`),
    }
  }

  #typeIndex(type: string): number {
    const known = get(this.#types, type)
    if (known !== undefined) return known
    const index = this.#typeNames.length
    set(this.#types, type, index)
    append(this.#typeNames, type)
    return index
  }

  #define(symbol: unknown): void {
    checkShape(symbol, `symbol of ${this.#name}`, symbolNames)
    const { name, section, address, offset = 0, size = 0, binding } = symbol as GraphSymbol
    checkString(name, `name of a symbol of ${this.#name}`)
    if (get(this.#symbols, name) !== undefined) {
      throw this.#contradiction('two symbols have this name', 'symbol', name)
    }
    if ((section === undefined) === (address === undefined)) {
      throw this.#contradiction('a symbol has either a section or an address', 'symbol', name)
    }
    const where = `of symbol ${name}`
    const common = {
      name,
      binding: choose(binding, `binding ${where}`, bindings),
      size: toCount(size, `size ${where}`),
    }
    if (section === undefined) {
      this.#add({ ...common, address: toAddress(address, `address ${where}`) })
    } else {
      const index = this.#sectionIndex(section, name)
      this.#add({ ...common, section: index, offset: toCount(offset, `offset ${where}`) })
    }
  }

  #add(definition: Definition): number {
    const index = this.#definitions.length
    set(this.#symbols, definition.name, index)
    append(this.#definitions, definition)
    return index
  }

  #sectionIndex(section: string, symbol: string): number {
    checkString(section, `section of symbol ${symbol}`)
    const index = get(this.#sections, section)
    if (index === undefined) {
      throw this.#contradiction('a symbol lies in a section that is not there', 'symbol', symbol, section)
    }
    return index
  }

  /** The index of the symbol of each relocation: a defined one, the start of a section, or an external. */
  #references(): number[] {
    const references = makeList<number>()
    for (let index = 0; index < this.#relocations.length; index++) {
      const { symbol } = this.#relocations[index] as Relocation
      append(references, get(this.#symbols, symbol) ?? this.#introduce(symbol))
    }
    return references
  }

  #introduce(name: string): number {
    const section = get(this.#sections, name)
    return section === undefined
      ? this.#add({ name, binding: 0, size: 0 })
      : this.#add({ name, binding: local, size: 0, section, offset: 0 })
  }

  #contradiction(reason: string, kind: 'section' | 'symbol', name: string, section?: string): CodeslabError {
    const about = section === undefined ? `${kind} ${name}` : `${kind} ${name}, section ${section}`
    const facts = section === undefined ? { [kind]: name } : { [kind]: name, section }
    return refusal('ERR_CODESLAB_INVALID_GRAPH', `${this.#name}: ${about}: ${reason}`, {
      object: this.#name,
      ...facts,
      reason,
    })
  }
}

function writeDefinition(output: Output, { name, binding, size, section, offset = 0, address }: Definition): void {
  output.text(name)
  if (section !== undefined) {
    output.byte(tags.section)
    output.number(section)
    output.number(offset)
  } else if (address === undefined) {
    output.byte(tags.undefined)
  } else {
    output.byte(tags.absolute)
    output.word(address)
  }
  output.byte(binding)
  output.number(size)
}

function writeRelocation(output: Output, { section, offset, type, addend }: Relocation, symbol: number): void {
  output.number(section)
  output.number(offset)
  output.number(type)
  output.number(symbol)
  output.word(addend)
}

/** A signed number of 64 bits. */
function toAddend(value: unknown, name: string): bigint {
  if (typeof value === 'number') {
    if (!isSafeInteger(value)) throw outOfRange(name, 'a safe integer', value)
    return toBigInt(value)
  }
  if (typeof value !== 'bigint') throw invalidType(name, 'a number or a bigint', value)
  if (asIntN(64, value) !== value) throw outOfRange(name, 'from -2n ** 63n to 2n ** 63n - 1n', value)
  return value
}

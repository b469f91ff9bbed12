/** Inputs and options of links as native code takes them. `CodeMemory.link` uses this. */

import type { estimateLink, inspectInputs, NativeLinkOptions } from '#native'
import type { Graph } from '../graph.ts'
import type { LinkInput, LinkOptions, NamedInput } from '../link.ts'
import { addressed, asImage } from './address.ts'
import { toNumbers, type Holder } from './handle.ts'
import { asParsed, type ParsedHandle } from './parsed.ts'
import {
  checkBoolean,
  checkObject,
  checkShape,
  checkSteady,
  checkString,
  invalidType,
  names,
  toAddress,
  toBytes,
  toList,
} from './checks.ts'
import { encodeGraph } from './graph.ts'
import {
  add,
  append,
  byteLength,
  clip,
  eachEntry,
  has,
  isAnyArrayBuffer,
  isArray,
  isMap,
  isView,
  makeBytes,
  makeList,
  ownKeys,
  sized,
  toText,
} from './intrinsics.ts'

const inputNames = names<NamedInput>({ name: true, bytes: true })
const optionNames = names<LinkOptions>({
  externals: true,
  processSymbols: true,
  roots: true,
  libraries: true,
  gc: true,
  wrap: true,
  defsym: true,
  replaceable: true,
})

/** As much of the name of an input as crosses, for errors: as long as a path can be. */
const longestName = 4096

const NO_BYTES = makeBytes(0)

type NativeLoaded = NativeLinkOptions['loaded']

/** Inputs one after the other: the name of each, what its content is, and the content. */
type NativeInputs = Parameters<typeof inspectInputs>[0]

/** What the content of an input is, as native code has it. */
const FILE = 0
const GRAPH = 1
const PARSED = 2

/** An input that has been read. */
interface Input {
  readonly name: string
  readonly bytes: Uint8Array
  /** How many those were when they were read. */
  readonly length: number
  readonly isGraph: boolean
  /** The handle of one that was parsed before. */
  readonly parsed?: ParsedHandle
}

/** What native code takes for a link. */
export interface Link {
  /** The bytes of a file that has no name may stand for themselves. */
  readonly inputs: Parameters<typeof estimateLink>[0]
  /** `undefined` where there are none. */
  readonly options: NativeLinkOptions | undefined
}

/** Reads all of it, each property once, and then sees that no bytes have changed meanwhile. */
export function encodeLink(inputs: LinkInput | readonly LinkInput[], options: LinkOptions | undefined): Link {
  // Nothing else is read that could change the bytes.
  if (options === undefined && isView(inputs)) return { inputs: toBytes(inputs, 'input'), options }
  const read = isArray(inputs) ? toInputs(inputs, 'input') : sized(1, toInput(inputs, 'input'))
  if (options === undefined) return { inputs: toNative(read), options }
  checkShape(options, 'options', optionNames)
  const { externals = {}, processSymbols = true, roots = [], libraries = [] } = options
  const { gc = false, wrap = [], defsym = {}, replaceable = false } = options
  checkBoolean(processSymbols, 'processSymbols')
  checkBoolean(gc, 'gc')
  const rootNames = toNames(roots, 'roots')
  const wrapped = toNames(wrap, 'wrap')
  const assigned = toExpressions(defsym)
  const functions = toReplaceable(replaceable)
  const loaded = makeLoaded()
  const readLibraries = toLibraries(libraries, loaded)
  const { externalNames, externalAddresses } = toExternals(externals, loaded)
  return {
    inputs: toNative(read),
    options: {
      externalNames,
      externalAddresses,
      processSymbols,
      roots: rootNames,
      gc,
      wrap: wrapped,
      ...functions,
      ...assigned,
      libraries: toNative(readLibraries),
      loaded: toLoaded(loaded),
    },
  }
}

/** Inputs alone, to be looked into. */
export function encodeInputs(inputs: readonly LinkInput[]): NativeInputs {
  return toNative(toInputs(inputs, 'input'))
}

/** What is in memory already, while it is being read: reading more may run JavaScript that frees it. */
interface Loaded extends Omit<NativeLoaded, 'keepers' | 'images'> {
  readonly keepers: Holder[]
  readonly images: Holder[]
}

/** Before anything of it is known. */
function makeLoaded(): Loaded {
  return {
    names: makeList(),
    addresses: makeList(),
    keepers: makeList(),
    images: makeList(),
    positions: makeList(),
    paths: makeList(),
    pathPositions: makeList(),
  }
}

/** The same as native code takes it. Runs no code of users. */
function toLoaded(loaded: Loaded): NativeLoaded {
  return { ...loaded, keepers: toNumbers(loaded.keepers), images: toNumbers(loaded.images) }
}

/** Libraries that are bytes or graphs; images and paths go to what is loaded, each with its place among them. */
function toLibraries(libraries: unknown, loaded: Loaded): Input[] {
  const read = makeList<Input>()
  toList(libraries, 'libraries', 'an array', (library, name, index) => {
    const image = asImage(library)
    if (typeof library === 'string') {
      append(loaded.paths, clip(library, longestName))
      append(loaded.pathPositions, index)
    } else if (image === undefined) {
      append(read, toInput(library, name))
    } else {
      append(loaded.images, image)
      append(loaded.positions, index)
    }
  })
  return read
}

/** Each name once: a string that is in an array again and again would cross each time. */
function toNames(list: unknown, what: string): string[] {
  const seen = new Set<string>()
  const once = makeList<string>()
  toList(list, what, 'an array of strings', (entry, name) => {
    checkString(entry, name)
    if (has(seen, entry)) return
    add(seen, entry)
    append(once, entry)
  })
  return once
}

/** Functions that can be replaced: all is said by none. */
function toReplaceable(replaceable: unknown): Pick<NativeLinkOptions, 'replaceable'> {
  if (replaceable === true) return {}
  return { replaceable: replaceable === false ? makeList() : toNames(replaceable, 'replaceable') }
}

/** What an object or an archive is parsed from: its name, as much of it as crosses, and its bytes. */
export function encodeFile(input: unknown): { readonly name: string; readonly bytes: Uint8Array } {
  const { name, bytes, length, isGraph, parsed } = toInput(input, 'input')
  if (isGraph || parsed !== undefined) throw invalidType('input', 'the bytes of an object or an archive', input)
  checkSteady(bytes, length, `bytes of ${name}`)
  return { name: clip(name, longestName), bytes }
}

/** Symbols and what they are assigned. */
function toExpressions(defsym: unknown): Pick<NativeLinkOptions, 'defsymNames' | 'defsymExpressions'> {
  checkObject(defsym, 'defsym')
  const defsymNames = ownKeys(defsym)
  const defsymExpressions = sized(defsymNames.length, '')
  for (let index = 0; index < defsymNames.length; index++) {
    const name = defsymNames[index] as string
    defsymExpressions[index] = toExpression(name, (defsym as Readonly<Record<string, unknown>>)[name])
  }
  return { defsymNames, defsymExpressions }
}

function toExpression(name: string, expression: unknown): string {
  return typeof expression === 'string' ? expression : toText(toAddress(expression, `defsym ${name}`))
}

function toInputs(inputs: unknown, what: string): Input[] {
  return toList(inputs, what, 'an array', toInput)
}

function toInput(input: unknown, what: string): Input {
  if (isView(input) || isAnyArrayBuffer(input)) return toFile(what, input, what)
  // The name of a file is what people try first.
  if (typeof input === 'string')
    throw invalidType(what, 'bytes, not the name of a file: pass readFileSync(name)', input)
  checkObject(input, what)
  const parsed = asParsed(input)
  if (parsed !== undefined) return { name: what, bytes: NO_BYTES, length: 0, isGraph: false, parsed }
  if (asImage(input) !== undefined) throw invalidType(what, 'bytes or a graph; give images as libraries', input)
  const isGraph = 'sections' in input
  const { name = what } = input as NamedInput | Graph
  checkString(name, `name of ${what}`)
  if (isGraph) {
    const bytes = encodeGraph(input as Graph, clip(name, longestName))
    return { name, bytes, length: byteLength(bytes), isGraph }
  }
  checkShape(input, what, inputNames)
  if (!('bytes' in input)) throw invalidType(what, 'bytes, an object with name and bytes, or a graph', input)
  return toFile(name, input.bytes, `bytes of ${what}`)
}

function toFile(name: string, content: unknown, what: string): Input {
  const bytes = toBytes(content, what)
  return { name, bytes, length: byteLength(bytes), isGraph: false }
}

/** Runs no code of users. */
function toNative(inputs: readonly Input[]): NativeInputs {
  const native = sized<NativeInputs[number]>(3 * inputs.length, NO_BYTES)
  for (let index = 0; index < inputs.length; index++) {
    const { name, bytes, length, isGraph, parsed } = inputs[index] as Input
    checkSteady(bytes, length, `bytes of ${name}`)
    native[3 * index] = clip(name, longestName)
    native[3 * index + 1] = parsed === undefined ? (isGraph ? GRAPH : FILE) : PARSED
    native[3 * index + 2] = parsed ?? bytes
  }
  return native
}

/** Externals by name. */
type Externals = Pick<NativeLinkOptions, 'externalNames' | 'externalAddresses'>

function toExternals(externals: object, loaded: Loaded): Externals {
  checkObject(externals, 'externals')
  const names = isMap(externals) ? undefined : ownKeys(externals)
  if (names?.length === 0) return { externalNames: [], externalAddresses: [] }
  const encoded: Externals = { externalNames: makeList(), externalAddresses: makeList() }
  const enter = (name: unknown, address: unknown): void => {
    checkString(name, 'name of an external')
    const image = asImage(address)
    const value = image === undefined ? toAddress(address, `external ${name}`) : image.address(name)
    const keeper = image ?? addressed(address)
    append(keeper === undefined ? encoded.externalNames : loaded.names, name)
    append(keeper === undefined ? encoded.externalAddresses : loaded.addresses, value)
    if (keeper !== undefined) append(loaded.keepers, keeper)
  }
  if (names === undefined) {
    eachEntry(externals as ReadonlyMap<unknown, unknown>, enter)
  } else {
    for (let index = 0; index < names.length; index++) {
      const name = names[index] as string
      enter(name, (externals as Readonly<Record<string, unknown>>)[name])
    }
  }
  return encoded
}

/** Inputs and options of links as native code takes them. `CodeMemory.link` uses this. */

import type { NativeInputKind, NativeInputs, NativeLinkOptions } from '#native'
import type { Graph } from '../graph.ts'
import type { LinkInput, LinkLibrary, LinkOptions, NamedInput } from '../link.ts'
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
import { imageHandleOf } from './images.ts'
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
  dryRun: true,
})

/** As much of the name of an input as crosses, for errors: as long as a path can be. */
const longestName = 4096

const NO_BYTES = makeBytes(0)

/** An input that has been read. */
interface Input {
  readonly name: string
  readonly bytes: Uint8Array
  /** How many those were when they were read. */
  readonly length: number
  readonly kind: Kind
  readonly image: CodeHandle | undefined
}

type Kind = `${NativeInputKind}`

type CodeHandle = NativeInputs['images'][number]

/** What native code takes for a link. */
export interface Link {
  readonly inputs: NativeInputs
  readonly options: NativeLinkOptions
  readonly isDryRun: boolean
}

/** Reads all of it, each property once, and then sees that no bytes have changed meanwhile. */
export function encodeLink(inputs: LinkInput | readonly LinkInput[], options: LinkOptions): Link {
  const read = isArray(inputs) ? toInputs(inputs, 'input') : sized(1, toInput(inputs, 'input'))
  checkShape(options, 'options', optionNames)
  const { externals = {}, processSymbols = true, roots = [], libraries = [] } = options
  const { gc = false, wrap = [], defsym = {}, dryRun = false } = options
  checkBoolean(processSymbols, 'processSymbols')
  checkBoolean(gc, 'gc')
  checkBoolean(dryRun, 'dryRun')
  const rootNames = toNames(roots, 'roots')
  const wrapped = toNames(wrap, 'wrap')
  const assigned = toExpressions(defsym)
  const readLibraries = toList(libraries, 'libraries', 'an array', toLibrary)
  const { externalNames, externalAddresses } = toExternals(externals)
  return {
    isDryRun: dryRun,
    inputs: toNative(read),
    options: {
      externalNames,
      externalAddresses,
      processSymbols,
      roots: rootNames,
      gc,
      wrap: wrapped,
      ...assigned,
      libraries: toNative(readLibraries),
    },
  }
}

/** Each name once: a string that is in an array again and again would cross each time. */
function toNames(list: unknown, what: string): string[] {
  const seen = new Set<string>()
  const once = makeList<string>()
  toList(list, what, 'an array of strings', (root, name) => {
    checkString(root, name)
    if (has(seen, root)) return
    add(seen, root)
    append(once, root)
  })
  return once
}

/** Symbols and what they are defined as. */
function toExpressions(defsym: unknown): Pick<NativeLinkOptions, 'defsymNames' | 'defsymExpressions'> {
  checkObject(defsym, 'defsym')
  const encoded = { defsymNames: makeList<string>(), defsymExpressions: makeList<string>() }
  const enter = (name: unknown, expression: unknown): void => {
    checkString(name, 'name of a defsym')
    append(encoded.defsymNames, name)
    append(encoded.defsymExpressions, toExpression(name, expression))
  }
  if (isMap(defsym)) {
    eachEntry(defsym as ReadonlyMap<unknown, unknown>, enter)
    return encoded
  }
  const names = ownKeys(defsym)
  for (let index = 0; index < names.length; index++) {
    const name = names[index] as string
    enter(name, (defsym as Readonly<Record<string, unknown>>)[name])
  }
  return encoded
}

function toExpression(name: string, expression: unknown): string {
  return typeof expression === 'string' ? expression : `${toAddress(expression, `defsym ${name}`)}`
}

function toLibrary(input: unknown, what: string): Input {
  if (typeof input === 'string') return { name: input, bytes: NO_BYTES, length: 0, kind: 'Path', image: undefined }
  const image = imageHandleOf(input)
  if (image === undefined) return toInput(input, what)
  return { name: what, bytes: NO_BYTES, length: 0, kind: 'Image', image }
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
  const isGraph = 'sections' in input
  const { name = what } = input as NamedInput | Graph
  checkString(name, `name of ${what}`)
  if (isGraph) {
    const bytes = encodeGraph(input as Graph, clip(name, longestName))
    return { name, bytes, length: byteLength(bytes), kind: 'Graph', image: undefined }
  }
  checkShape(input, what, inputNames)
  if (!('bytes' in input)) throw invalidType(what, 'bytes, an object with name and bytes, or a graph', input)
  return toFile(name, input.bytes, `bytes of ${what}`)
}

function toFile(name: string, content: unknown, what: string): Input {
  const bytes = toBytes(content, what)
  return { name, bytes, length: byteLength(bytes), kind: 'File', image: undefined }
}

/** Runs no code of users. */
function toNative(inputs: readonly Input[]): NativeInputs {
  const count = inputs.length
  const names = sized(count, '')
  const contents = sized<Uint8Array>(count, NO_BYTES)
  const kinds = sized<Kind>(count, 'File')
  const images = makeList<CodeHandle>()
  for (let index = 0; index < count; index++) {
    const { name, bytes, length, kind, image } = inputs[index] as Input
    checkSteady(bytes, length, `bytes of ${name}`)
    names[index] = clip(name, longestName)
    contents[index] = bytes
    kinds[index] = kind
    if (image !== undefined) append(images, image)
  }
  return { names, contents, kinds: kinds as NativeInputKind[], images }
}

/** Externals by name. */
type Externals = Pick<NativeLinkOptions, 'externalNames' | 'externalAddresses'>

function toExternals(externals: object): Externals {
  checkObject(externals, 'externals')
  const names = isMap(externals) ? undefined : ownKeys(externals)
  if (names?.length === 0) return { externalNames: [], externalAddresses: [] }
  const encoded: Externals = { externalNames: makeList(), externalAddresses: makeList() }
  const enter = (name: unknown, address: unknown): void => {
    checkString(name, 'name of an external')
    append(encoded.externalNames, name)
    append(encoded.externalAddresses, toExternal(name, address))
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

function toExternal(name: string, address: unknown): bigint {
  return toAddress(address, `external ${name}`)
}

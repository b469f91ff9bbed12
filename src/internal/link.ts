/** Inputs and options of links as native code takes them. `CodeMemory.link` uses this. */

import type { NativeInputs, NativeLinkOptions } from '#native'
import type { ExternalAddress, LinkInput, LinkOptions, NamedInput } from '../link.ts'
import {
  checkBoolean,
  checkObject,
  checkShape,
  checkString,
  checkStrings,
  invalidType,
  names,
  toAddress,
  toBytes,
} from './checks.ts'
import { encodeGraph } from './graph.ts'

const inputNames = names<NamedInput>({ name: true, bytes: true })
const optionNames = names<LinkOptions>({ externals: true, processSymbols: true, roots: true, libraries: true })

/** As much of the name of an input as crosses, for errors: as long as a path can be. */
const longestName = 4096

/** Inputs as native code takes them. */
export function encodeInputs(inputs: LinkInput | readonly LinkInput[], what: string): NativeInputs {
  const list: readonly LinkInput[] = Array.isArray(inputs) ? inputs : [inputs as LinkInput]
  const encoded = list.map((input, index) =>
    encodeInput(input, Array.isArray(inputs) ? `${what}[${String(index)}]` : what),
  )
  return {
    names: encoded.map(({ name }) => name.slice(0, longestName)),
    contents: encoded.map(({ bytes }) => bytes),
    graphs: encoded.map(({ graph }) => graph),
  }
}

function encodeInput(input: LinkInput, what: string): { name: string; bytes: Uint8Array; graph: boolean } {
  if (ArrayBuffer.isView(input) || input instanceof ArrayBuffer) {
    return { name: what, bytes: toBytes(input, what), graph: false }
  }
  // The name of a file is what people try first.
  if (typeof input === 'string')
    throw invalidType(what, 'bytes, not the name of a file: pass readFileSync(name)', input)
  checkObject(input, what)
  const { name = what } = input
  checkString(name, `name of ${what}`)
  if ('sections' in input) return { name, bytes: encodeGraph(input, name.slice(0, longestName)), graph: true }
  checkShape(input, what, inputNames)
  if (!('bytes' in input)) throw invalidType(what, 'bytes, an object with name and bytes, or a graph', input)
  return { name, bytes: toBytes(input.bytes, `bytes of ${what}`), graph: false }
}

/** Options as native code takes them. */
export function encodeOptions(options: LinkOptions): NativeLinkOptions {
  checkShape(options, 'options', optionNames)
  const { externals = {}, processSymbols = true, roots = [], libraries = [] } = options
  checkBoolean(processSymbols, 'processSymbols')
  checkStrings(roots, 'roots')
  if (!Array.isArray(libraries)) throw invalidType('libraries', 'an array', libraries)
  checkObject(externals, 'externals')
  const entries: [string, ExternalAddress][] =
    externals instanceof Map
      ? [...(externals as Map<string, ExternalAddress>)]
      : Object.entries<ExternalAddress>(externals as Record<string, ExternalAddress>)
  return {
    externalNames: entries.map(([name]) => name),
    externalAddresses: entries.map(([name, address]) => toExternal(name, address)),
    processSymbols,
    roots: [...new Set(roots)],
    libraries: encodeInputs(libraries, 'libraries'),
  }
}

function toExternal(name: unknown, address: ExternalAddress): bigint {
  checkString(name, 'name of an external')
  return toAddress(typeof address === 'function' ? address.pointer : address, `external ${name}`)
}

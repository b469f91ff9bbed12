/**
 * Calls as people write them: `f(1, 2)`, `double pow(2.0, 10.0)`, `uint64 crc32((uint64) 0, "123456789", (uint32) 9)`.
 *
 * Types are inferred from how values are written, as in C, and a cast says otherwise. What registers hold is the same for all integers, so one
 * that is passed as 64 bits serves a parameter of any width.
 */

import type { ArgumentType, ResultType } from '../../index.ts'
import { UsageError } from './failure.ts'

/** A value to be passed: its type, and what JavaScript passes for it, or the name of a symbol whose address is passed. */
export interface Argument {
  readonly type: ArgumentType
  readonly value: number | bigint | string | null
  readonly symbol?: string
}

/** A call. */
export interface Call {
  readonly text: string
  readonly name: string
  readonly result: ResultType | undefined
  readonly arguments: readonly Argument[]
}

const examples = `write it as in C: 'f(1, 2.5, "text")', 'double f((float) 1)', 'char * f(&symbol, null)'`

/** What C calls the types whose names are one word here. */
const spellings: ReadonlyMap<string, string> = new Map(
  Object.entries({
    char: 'char',
    unsigned: 'uint32',
    'unsigned int': 'uint32',
    'unsigned char': 'uint8',
    'signed char': 'int8',
    'unsigned short': 'uint16',
    'unsigned long': 'ulong',
    'long int': 'long',
    'unsigned long int': 'ulong',
    'long long': 'longlong',
    'unsigned long long': 'ulonglong',
    int8_t: 'int8',
    uint8_t: 'uint8',
    int16_t: 'int16',
    uint16_t: 'uint16',
    int32_t: 'int32',
    uint32_t: 'uint32',
    int64_t: 'int64',
    uint64_t: 'uint64',
  }),
)

const wide = new Set([
  'int64',
  'i64',
  'uint64',
  'u64',
  'long',
  'ulong',
  'longlong',
  'ulonglong',
  'size_t',
  'ssize_t',
  'intptr_t',
  'uintptr_t',
])
const floats = new Set(['float', 'double', 'float32', 'float64', 'f32', 'f64'])
const pointers = new Set(['pointer', 'ptr', 'string', 'str', 'buffer', 'arraybuffer', 'function', 'char *'])

/** The name of a type as signatures have it. */
export function toTypeName(written: string): string {
  const words = written
    .replace(/\bconst\b/g, ' ')
    .replace(/\*/g, ' * ')
    .split(/\s+/)
    .filter(word => word !== '')
  const text = words.join(' ')
  if (text === 'char *') return text
  return text.endsWith('*') ? 'pointer' : (spellings.get(text) ?? text)
}

/** Reads a call. */
export function parseCall(text: string): Call {
  const match = /^\s*(?:([\w\s*]*?[\s*]))?([\w.$@]+)\s*\(([^]*)\)\s*;?\s*$/.exec(text)
  if (match === null) throw new UsageError(`--call ${JSON.stringify(text)} is no call`, examples)
  const [, result = '', name = '', inside = ''] = match
  const type = result.trim() === '' ? undefined : (toTypeName(result) as ResultType)
  return { text: text.trim(), name, result: type, arguments: split(inside, text).map(part => toArgument(part, text)) }
}

/** Parts between commas that are in neither quotes nor parentheses. */
function split(inside: string, call: string): string[] {
  if (inside.trim() === '') return []
  const parts: string[] = []
  let start = 0
  let depth = 0
  let quote: string | undefined
  for (let at = 0; at < inside.length; at++) {
    const character = inside[at] ?? ''
    if (quote !== undefined) {
      if (character === '\\') at++
      else if (character === quote) quote = undefined
    } else if (character === '"' || character === "'") quote = character
    else if (character === '(') depth++
    else if (character === ')') depth--
    else if (character === ',' && depth === 0) {
      parts.push(inside.slice(start, at))
      start = at + 1
    }
  }
  if (quote !== undefined) throw new UsageError(`in --call ${JSON.stringify(call)} a ${quote} has no end`, examples)
  return [...parts, inside.slice(start)]
}

function toArgument(written: string, call: string): Argument {
  const [, cast, literal = ''] = /^\s*(?:\(([\w\s*]+)\))?\s*([^]*?)\s*$/.exec(written) ?? []
  const inferred = infer(literal)
  if (inferred === undefined) {
    const found = literal === '' ? 'a missing value' : JSON.stringify(literal)
    throw new UsageError(
      `--call ${JSON.stringify(call)} has ${found} for an argument`,
      `${examples}; types of results stand before the name`,
    )
  }
  return cast === undefined ? inferred : convert(inferred, toTypeName(cast) as ArgumentType, written, call)
}

/** What a value is by how it is written; `undefined` if it is none. */
function infer(literal: string): Argument | undefined {
  if (/^(null|NULL|nullptr)$/.test(literal)) return { type: 'pointer', value: null }
  if (/^(true|false)$/.test(literal)) return { type: 'int64', value: literal === 'true' ? 1n : 0n }
  if (/^&[\w.$@]+$/.test(literal)) return { type: 'pointer', value: null, symbol: literal.slice(1) }
  if (/^"[^]*"$/.test(literal)) return { type: 'pointer', value: unescape(literal) }
  if (/^'[^]+'$/.test(literal)) {
    const character = unescape(literal)
    return character.length === 1 ? { type: 'int64', value: BigInt(character.charCodeAt(0)) } : undefined
  }
  return inferNumber(literal)
}

function inferNumber(literal: string): Argument | undefined {
  const whole = /^([+-]?)(0x[0-9a-f]+|0b[01]+|\d+)(?:[ul]*|n)$/i.exec(literal)
  if (whole !== null) {
    const magnitude = BigInt(whole[2] ?? '')
    const value = whole[1] === '-' ? -magnitude : magnitude
    if (value < -(2n ** 63n) || value >= 2n ** 64n) return undefined
    return { type: value < 2n ** 63n ? 'int64' : 'uint64', value }
  }
  const isFloat = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?f?$/i.test(literal) || /^[+-]?(?:inf|nan)$/i.test(literal)
  if (!isFloat) return undefined
  const value = Number(literal.replace(/inf/i, 'Infinity').replace(/f$/i, ''))
  return { type: /\df$/i.test(literal) || /\.f$/i.test(literal) ? 'float' : 'double', value }
}

/** Text between quotes, with the escapes of C. */
function unescape(quoted: string): string {
  const codes: Readonly<Record<string, string>> = {
    n: '\n',
    t: '\t',
    r: '\r',
    0: '\0',
    a: '\x07',
    b: '\b',
    f: '\f',
    v: '\v',
  }
  return quoted.slice(1, -1).replace(/\\(x[0-9a-fA-F]{1,2}|[^])/g, (_, code: string) => {
    if (code.startsWith('x') && code.length > 1) return String.fromCharCode(Number.parseInt(code.slice(1), 16))
    return codes[code] ?? code
  })
}

/** A value as another type, as a cast in C says it. */
function convert(argument: Argument, type: ArgumentType, written: string, call: string): Argument {
  const { value, symbol } = argument
  const name = type as string
  if (symbol !== undefined) return { type, value, symbol }
  if (pointers.has(name)) return { type, value: typeof value === 'number' ? BigInt(Math.trunc(value)) : value }
  if (typeof value === 'string' || value === null) {
    const message = `--call ${JSON.stringify(call)}: ${written.trim()} is an address and cannot be ${name}`
    throw new UsageError(message, 'cast addresses to pointer, or leave the cast out')
  }
  if (floats.has(name)) return { type, value: Number(value) }
  if (wide.has(name)) return { type, value: typeof value === 'bigint' ? value : BigInt(Math.trunc(value)) }
  // What the type does not have is refused by the call, with the range.
  return { type, value: typeof value === 'bigint' ? Number(value) : Math.trunc(value) }
}

/** The options of a memory as native code takes them: shapes and types are checked here, values where their rules are. */

import type { NativeCodeModel, NativeMemoryOptions, NativeWriter } from '#native'
import type { CodeMemoryOptions } from '../options.ts'
import type { Constants, Quarantine } from '../stats.ts'
import {
  checkBoolean,
  checkNumber,
  checkShape,
  checkString,
  choices,
  choose,
  isCount,
  names,
  toLimit,
} from './checks.ts'
import { get, toText } from './intrinsics.ts'
import { refusal } from './refusal.ts'

const optionNames = names<CodeMemoryOptions>({
  blockSize: true,
  codeModel: true,
  writer: true,
  constants: true,
  quarantine: true,
  maxCommitted: true,
  maxMappings: true,
  sealed: true,
  hardened: true,
  guardPages: true,
  branchProtection: true,
  perf: true,
  jitdump: true,
  gdb: true,
})

const placements = choices<Constants>([
  [undefined, 'separate'],
  ['separate', 'separate'],
  ['with-code', 'with-code'],
])

const quarantines = choices<Quarantine>([
  [undefined, 'off'],
  ['off', 'off'],
  ['trapping', 'trapping'],
  ['intact', 'intact'],
])

/** TypeScript sees to it that none is missing, and that there is no other. */
const writers: Readonly<Record<NativeWriter, true>> = {
  'dual-mapping': true,
  'file-write': true,
  protect: true,
  'self-mem': true,
  pkeys: true,
  'map-jit': true,
}

const codeModels: Readonly<Record<NativeCodeModel, true>> = { tiny: true, small: true, medium: true, large: true }

const writersByName = byName(writers)
const codeModelsByName = byName(codeModels)

function byName<Name extends string>(names: Readonly<Record<Name, true>>): ReadonlyMap<unknown, Name> {
  return new Map((Object.keys(names) as Name[]).map(name => [name, name]))
}

/** What an error says that there is. */
const writerNames = ['auto', ...Object.keys(writers)].join(', ')

/** Options as native code takes them. Whether such a writer works and the architecture has such a code model is for that to say. */
export function encodeMemoryOptions(options: CodeMemoryOptions): NativeMemoryOptions {
  checkShape(options, 'options', optionNames)
  const { blockSize, codeModel, writer, constants, quarantine, maxCommitted, maxMappings } = options
  const { sealed = false, hardened = true, guardPages = false, branchProtection = false, perf, jitdump, gdb } = options
  checkBoolean(sealed, 'sealed')
  checkBoolean(hardened, 'hardened')
  checkBoolean(guardPages, 'guardPages')
  checkBoolean(branchProtection, 'branchProtection')
  return {
    blockSize: toBlockSize(blockSize),
    codeModel: toCodeModel(codeModel),
    writer: toWriter(writer),
    constants: choose(constants, 'constants', placements),
    quarantine: choose(quarantine, 'quarantine', quarantines),
    maxCommitted: toLimit(maxCommitted, 'maxCommitted'),
    maxMappings: toLimit(maxMappings, 'maxMappings'),
    sealed,
    hardened,
    guardPages,
    branchProtection,
    perf: toChoice(perf, 'perf'),
    jitdump: toChoice(jitdump, 'jitdump'),
    gdb: toChoice(gdb, 'gdb'),
  }
}

function toChoice(value: unknown, name: string): boolean | undefined {
  if (value !== undefined) checkBoolean(value, name)
  return value
}

function toCodeModel(name: unknown = 'small'): NativeCodeModel {
  checkString(name, 'codeModel')
  const codeModel = get(codeModelsByName, name)
  if (codeModel !== undefined) return codeModel
  const message = `there is no code model '${name}'; choose tiny, small, medium or large`
  throw refusal('ERR_CODESLAB_UNSUPPORTED_CODE_MODEL', message, { codeModel: name })
}

function toWriter(name: unknown = 'auto'): NativeWriter | undefined {
  checkString(name, 'writer')
  if (name === 'auto') return undefined
  const writer = get(writersByName, name)
  if (writer !== undefined) return writer
  const message = `there is no writer '${name}'; choose ${writerNames}`
  throw refusal('ERR_CODESLAB_WRITER_UNAVAILABLE', message, { writer: name })
}

function toBlockSize(size: unknown): number | undefined {
  if (size === undefined) return undefined
  checkNumber(size, 'blockSize')
  if (isCount(size)) return size
  const message = `block size ${toText(size)} is not a power of two`
  throw refusal('ERR_CODESLAB_INVALID_BLOCK_SIZE', message, { size })
}

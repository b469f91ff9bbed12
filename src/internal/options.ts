/** The options of a memory as native code takes them: shapes and types are checked here, values where their rules are. */

import type { NativeMemoryOptions } from '#native'
import type { CodeMemoryOptions } from '../options.ts'
import type { Constants, Quarantine } from '../stats.ts'
import { checkBoolean, checkNumber, checkShape, checkString, choose, isCount, names, toLimit } from './checks.ts'
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
})

const placements = new Map<unknown, Constants>([
  [undefined, 'separate'],
  ['separate', 'separate'],
  ['with-code', 'with-code'],
])

const quarantines = new Map<unknown, Quarantine>([
  [undefined, 'off'],
  ['off', 'off'],
  ['trapping', 'trapping'],
  ['intact', 'intact'],
])

/** Options as native code takes them. Whether there is such a writer or code model is for that to say. */
export function encodeMemoryOptions(options: CodeMemoryOptions): NativeMemoryOptions {
  checkShape(options, 'options', optionNames)
  const { blockSize, codeModel, writer, constants, quarantine, maxCommitted, maxMappings, sealed = false } = options
  if (codeModel !== undefined) checkString(codeModel, 'codeModel')
  if (writer !== undefined) checkString(writer, 'writer')
  checkBoolean(sealed, 'sealed')
  return {
    blockSize: toBlockSize(blockSize),
    codeModel,
    writer: writer === 'auto' ? undefined : writer,
    constants: choose(constants, 'constants', placements),
    quarantine: choose(quarantine, 'quarantine', quarantines),
    maxCommitted: toLimit(maxCommitted, 'maxCommitted'),
    maxMappings: toLimit(maxMappings, 'maxMappings'),
    sealed,
  }
}

function toBlockSize(size: unknown): number | undefined {
  if (size === undefined) return undefined
  checkNumber(size, 'blockSize')
  if (isCount(size)) return size
  const message = `block size ${String(size)} is not a power of two`
  throw refusal('ERR_CODESLAB_INVALID_BLOCK_SIZE', message, { size })
}

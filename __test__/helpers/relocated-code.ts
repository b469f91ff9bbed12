/** Machine code with fields that the linker fills in, for the processor of this machine. */

import { arch } from 'node:process'
import type { GraphRelocation, GraphSection, RelocationType } from '../../index.ts'

/** What a section of a graph has besides its name. */
export type Code = Required<Pick<GraphSection, 'bytes' | 'relocations'>> & { readonly bytes: Uint8Array }

const isArm = arch === 'arm64'

/** Pieces of code one after the other. */
export function sequence(...pieces: readonly (Code | Uint8Array)[]): Code {
  let length = 0
  const bytes: Uint8Array[] = []
  const relocations: GraphRelocation[] = []
  for (const piece of pieces) {
    const code = piece instanceof Uint8Array ? { bytes: piece, relocations: [] } : piece
    for (const relocation of code.relocations) relocations.push({ ...relocation, offset: relocation.offset + length })
    bytes.push(code.bytes)
    length += code.bytes.length
  }
  return { bytes: Buffer.concat(bytes), relocations }
}

/** x86-64: an instruction whose last four bytes are the distance of a symbol from its end. */
function intel(hex: string, symbol: string, type: RelocationType): Code {
  const bytes = Buffer.from(hex + '00000000', 'hex')
  return { bytes, relocations: [{ offset: bytes.length - 4, type, symbol, addend: -4 }] }
}

/** Arm: instructions, each with the relocation of its field, if it has one. */
function arm(...instructions: readonly (readonly [word: number, type?: RelocationType, symbol?: string])[]): Code {
  const relocations = instructions.flatMap(([, type, symbol], index) =>
    type === undefined || symbol === undefined ? [] : [{ offset: index * 4, type, symbol }],
  )
  return { bytes: new Uint8Array(Uint32Array.from(instructions, ([word]) => word).buffer), relocations }
}

/** Arm: loads what lies at a symbol into a register, by way of its page. */
function armLoad(load: number, type: RelocationType, symbol: string, register: number): Code {
  const address = 9
  return arm(
    [0x90000000 + address, 'R_AARCH64_ADR_PREL_PG_HI21', symbol],
    [load + address * 32 + register, type, symbol],
  )
}

/** The 32 bits at a symbol, as the result. On x86-64: mov eax, [symbol] */
export function loadIntAt(symbol: string): Code {
  if (!isArm) return intel('8b05', symbol, 'R_X86_64_PC32')
  return armLoad(0xb9400000, 'R_AARCH64_LDST32_ABS_LO12_NC', symbol, 0)
}

/** Adds the 32 bits at a symbol to the result. On x86-64: add eax, [symbol] */
export function addIntAt(symbol: string): Code {
  if (!isArm) return intel('0305', symbol, 'R_X86_64_PC32')
  return sequence(armLoad(0xb9400000, 'R_AARCH64_LDST32_ABS_LO12_NC', symbol, 2), arm([0x0b020000]))
}

/** The 64 bits at a symbol, as the result. On x86-64: mov rax, [symbol] */
export function loadWordAt(symbol: string): Code {
  if (!isArm) return intel('488b05', symbol, 'R_X86_64_PC32')
  return armLoad(0xf9400000, 'R_AARCH64_LDST64_ABS_LO12_NC', symbol, 0)
}

/** A branch to a symbol, for which the linker may put a stub. On x86-64: jmp symbol */
export function branchTo(symbol: string): Code {
  return isArm ? arm([0x14000000, 'R_AARCH64_JUMP26', symbol]) : intel('e9', symbol, 'R_X86_64_PLT32')
}

/** A branch to a symbol by its distance in 32 bits, which no stub can replace. On x86-64: jmp symbol */
export function directBranchTo(symbol: string): Code {
  if (!isArm) return intel('e9', symbol, 'R_X86_64_PC32')
  // adr x9, field; ldrsw x10, [x9]; add x9, x9, x10; br x9; field: .word symbol - field
  return arm([0x10000089], [0xb980012a], [0x8b0a0129], [0xd61f0120], [0, 'R_AARCH64_PREL32', symbol])
}

/** Branches to a symbol, by the name that each object format has for their type. */
export function branchesTo(symbol: string): Code[] {
  const arms: RelocationType[] = ['R_AARCH64_JUMP26', 'ARM64_RELOC_BRANCH26']
  if (isArm) return arms.map(type => arm([0x14000000, type, symbol]))
  // Outside of ELF a distance counts from the end of the instruction.
  const code = (type: RelocationType, addend: number) => {
    const { bytes, relocations } = intel('e9', symbol, type)
    return { bytes, relocations: relocations.map(relocation => ({ ...relocation, addend })) }
  }
  return [code('R_X86_64_PLT32', -4), code('IMAGE_REL_AMD64_REL32', 0), code('X86_64_RELOC_BRANCH', 0)]
}

/** Relocation types of this processor, by what they write. */
export const types = isArm
  ? ({ word64: 'R_AARCH64_ABS64', distance32: 'R_AARCH64_PREL32', narrow: 'R_AARCH64_ABS16' } as const)
  : ({ word64: 'R_X86_64_64', distance32: 'R_X86_64_PC32', narrow: 'R_X86_64_16' } as const)

/** The field of `answer(number)` as a relocation, for a symbol whose address is a number of 16 bits. */
export const answerField = isArm
  ? ({ offset: 0, type: 'R_AARCH64_MOVW_UABS_G0' } as const)
  : ({ offset: 1, type: 'R_X86_64_32' } as const)

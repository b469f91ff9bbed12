/** Objects that cannot be linked, for the processor and the object format of this machine, each with the facts that an error has of it. */

import { arch, platform } from 'node:process'
import { assemble, compile } from './compile.ts'

const isArm = arch === 'arm64'
const isCoff = platform === 'win32'

/** Where both formats have what differs between machines. */
const word = isCoff ? 'IMAGE_REL_AMD64_ADDR64' : isArm ? 'R_AARCH64_ABS64' : 'R_X86_64_64'

/** A section that is not loaded is referred to. */
export const discarded = {
  bytes: () => assemble(`.section .notes, ${isCoff ? '"n"' : '"", @progbits'}\nnote: .quad 1\n.data\n.quad note\n`),
  facts: { section: '.data', relocation: word },
}

/** A relocation names symbol 999. */
export const badIndex = {
  bytes: () => {
    const bytes = assemble(`.text\n.globl f\nf: ${isArm ? 'bl' : 'call'} g\n`)
    const at = isCoff ? coffRelocations(bytes) + 4 : elfSection(bytes, 4) + 12
    bytes.writeUInt32LE(999, at)
    return bytes
  },
  facts: { what: 'symbol', index: 999 },
}

/** A thread-local variable is taken for an ordinary one. */
export const mixedThreadLocal = {
  bytes: () =>
    assemble(
      `.globl v\n${isArm ? 'adrp x0, v' : 'mov v(%rip), %eax'}\n.section .tdata, "awT", @progbits\nv: .long 1\n`,
    ),
  facts: { section: '.text', symbol: 'v' },
}

/** A section is both written and executed. */
export const writableCode = {
  bytes: () => assemble(`.section .both, ${isCoff ? '"xw"' : '"awx", @progbits'}\nnop\n`),
  facts: { section: '.both' },
}

/** Code for another processor. */
export const otherMachine = {
  bytes: () => {
    const bytes = compile('int one(void) { return 1; }')
    // What the formats call 64-bit Arm, and ELF x86-64.
    if (isCoff) bytes.writeUInt16LE(0xaa64, 0)
    else bytes.writeUInt16LE(isArm ? 62 : 183, 18)
    return bytes
  },
  facts: { expected: isCoff ? 'x86-64 (COFF)' : isArm ? 'aarch64' : 'x86_64' },
}

/** The file offset of the first section of a type in a 64-bit ELF object. */
function elfSection(bytes: Buffer, type: number): number {
  const start = Number(bytes.readBigUInt64LE(40))
  const count = bytes.readUInt16LE(60)
  const headers = Array.from({ length: count }, (_, index) => start + index * 64)
  const header = headers.find(header => bytes.readUInt32LE(header + 4) === type)
  if (header === undefined) throw new Error(`no section of type ${String(type)}`)
  return Number(bytes.readBigUInt64LE(header + 24))
}

/** The file offset of the relocations of the first section that has any in a COFF object. */
function coffRelocations(bytes: Buffer): number {
  const count = bytes.readUInt16LE(2)
  const headers = Array.from({ length: count }, (_, index) => 20 + index * 40)
  const header = headers.find(header => bytes.readUInt16LE(header + 32) > 0)
  if (header === undefined) throw new Error('no section has relocations')
  return bytes.readUInt32LE(header + 24)
}

/** Machine code that several tests place, for the processor and the calling convention of this machine, and how it is called. */

import { arch, platform } from 'node:process'

/** The name of this machine's convention. */
const convention = arch === 'arm64' ? 'arm' : platform === 'win32' ? 'windows' : 'systemV'

/** What this machine executes, of the same code for each of them. */
function select<T>(codes: { systemV: T; windows: T; arm: T }): T {
  return codes[convention]
}

/** Instructions of 32 bits. */
function words(...all: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(all).buffer)
}

const armRet = 0xd65f03c0

/** Takes two numbers and returns one. */
export const binary = { return: 'int32', arguments: ['int32', 'int32'] } as const

/** Their sum. On x86-64: lea eax, [first + second]; ret */
export const add = select({
  systemV: Uint8Array.of(0x8d, 0x04, 0x37, 0xc3),
  windows: Uint8Array.of(0x8d, 0x04, 0x11, 0xc3),
  arm: words(0x0b010000, armRet),
})

/** Takes nothing and returns a number. */
export const nullary = { return: 'int32' } as const

/** Returns a number. On x86-64: mov eax, answer; ret */
export function answer(number: number): Uint8Array {
  if (convention === 'arm') return words(...armConstant(0, number), armRet)
  const code = Buffer.from([0xb8, 0, 0, 0, 0, 0xc3])
  code.writeInt32LE(number, 1)
  return code
}

/** movz and movk into a register. */
function armConstant(register: number, number: number): [number, number] {
  const [low, high] = [number & 0xffff, (number >>> 16) & 0xffff]
  return [0x52800000 | (low << 5) | register, 0x72a00000 | (high << 5) | register]
}

/** Adds a number to its argument. On x86-64: lea eax, [first + number]; ret */
export function plus(number: number): Uint8Array {
  if (convention === 'arm') return words(...armConstant(1, number), 0x0b010000, armRet)
  const code = Buffer.from([0x8d, select({ systemV: 0x87, windows: 0x81, arm: 0 }), 0, 0, 0, 0, 0xc3])
  code.writeInt32LE(number, 2)
  return code
}

/** Does nothing. */
export const ret = select({ systemV: Uint8Array.of(0xc3), windows: Uint8Array.of(0xc3), arm: words(armRet) })

/** The byte at an address. On x86-64: movzx eax, byte ptr [first]; ret */
export const loadByte = select({
  systemV: Uint8Array.of(0x0f, 0xb6, 0x07, 0xc3),
  windows: Uint8Array.of(0x0f, 0xb6, 0x01, 0xc3),
  arm: words(0x39400000, armRet),
})

/** The 32 bits at an address. On x86-64: mov eax, [first]; ret */
export const loadInt = select({
  systemV: Uint8Array.of(0x8b, 0x07, 0xc3),
  windows: Uint8Array.of(0x8b, 0x01, 0xc3),
  arm: words(0xb9400000, armRet),
})

/** The 64 bits at an address. On x86-64: mov rax, [first]; ret */
export const loadWord = select({
  systemV: Uint8Array.of(0x48, 0x8b, 0x07, 0xc3),
  windows: Uint8Array.of(0x48, 0x8b, 0x01, 0xc3),
  arm: words(0xf9400000, armRet),
})

/** Goes on at an address. On x86-64: jmp first */
export const jump = select({
  systemV: Uint8Array.of(0xff, 0xe7),
  windows: Uint8Array.of(0xff, 0xe1),
  arm: words(0xd61f0000),
})

/** What no processor executes. On x86-64: ud2 */
export const undefinedInstruction = select({
  systemV: Uint8Array.of(0x0f, 0x0b),
  windows: Uint8Array.of(0x0f, 0x0b),
  arm: words(0),
})

/** Counts down from 2²⁹. On x86-64: mov ecx, 0x20000000; 1: dec ecx; jnz 1b; ret */
export const countingDown = select({
  systemV: Uint8Array.of(0xb9, 0, 0, 0, 0x20, 0xff, 0xc9, 0x75, 0xfc, 0xc3),
  windows: Uint8Array.of(0xb9, 0, 0, 0, 0x20, 0xff, 0xc9, 0x75, 0xfc, 0xc3),
  arm: words(0x52a40001, 0x71000421, 0x54ffffe1, armRet),
})

/**
 * Adds the number at one address to that at another, and returns the sum. It is placed at the first address, and finds both by their distance. On
 * x86-64: mov eax, [step]; add eax, [total]; mov [total], eax; ret
 */
export function addInMemory(text: bigint, step: bigint, total: bigint): Uint8Array {
  if (convention === 'arm') {
    // ldr w0, [x1]; ldr w3, [x2]; add w0, w0, w3; str w0, [x2]
    const work = [0xb9400020, 0xb9400043, 0x0b030000, 0xb9000040]
    return words(...armAddress(1, text, step), ...armAddress(2, text + 8n, total), ...work, armRet)
  }
  const code = Buffer.from('8b0500000000030500000000890500000000c3', 'hex')
  code.writeInt32LE(Number(step - text) - 6, 2)
  code.writeInt32LE(Number(total - text) - 12, 8)
  code.writeInt32LE(Number(total - text) - 18, 14)
  return code
}

/** adrp and add: an address into a register, from where the code lies. */
function armAddress(register: number, at: bigint, target: bigint): [number, number] {
  const pages = Number((target >> 12n) - (at >> 12n))
  const page = 0x90000000 + (pages & 3) * 2 ** 29 + ((pages >> 2) & 0x7ffff) * 32 + register
  return [page, 0x91000000 + Number(target & 0xfffn) * 1024 + register * 33]
}

/** JavaScript that makes the same bytes, for the source of a program. */
export function literal(code: Uint8Array): string {
  return `Uint8Array.of(${code.join(', ')})`
}

/** A code model that this processor does not have. */
export const foreignCodeModel = convention === 'arm' ? 'medium' : 'tiny'

/** Machine code that several tests place, and how it is called. */

/** lea eax, [rdi + rsi]; ret. On Windows the numbers are in rcx and rdx. */
export const add = Uint8Array.of(0x8d, 0x04, process.platform === 'win32' ? 0x11 : 0x37, 0xc3)

/** Takes two numbers and returns one. */
export const binary = { return: 'int32', arguments: ['int32', 'int32'] } as const

/** mov eax, answer; ret */
export function answer(number: number): Uint8Array {
  const code = Buffer.from([0xb8, 0, 0, 0, 0, 0xc3])
  code.writeInt32LE(number, 1)
  return code
}

/** Takes nothing and returns a number. */
export const nullary = { return: 'int32' } as const

/**
 * A just-in-time compiler for Brainfuck: x86-64 code for Linux, encoded here, that calls JavaScript to print and to read.
 *
 *     npm run demo:brainfuck [program.bf]
 *
 * The compiled program and an interpreter of the same instructions run the same program; their output and their time are compared.
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { CodeMemory } from 'codeslab'

/** The tape is a ring of as many cells as a 16-bit index can tell apart, so that no program reaches anything else. */
const CELLS = 2 ** 16

/** What a program consists of. Loops know where the other end of them is. */
type Instruction =
  | { op: 'add'; count: number }
  | { op: 'move'; count: number }
  | { op: 'clear' }
  | { op: 'print' }
  | { op: 'read' }
  | { op: 'open'; other: number }
  | { op: 'close'; other: number }

/** Where bytes go, and where they come from: zero at the end of the input. */
interface Terminal {
  readonly print: (byte: number) => void
  readonly read: () => number
}

/** Prints a line, and then a star each time that it has moved 255 times 255 from one cell to the next: 64 of them. */
const STARS = 64
const DEMO = [
  ...print('codeslab\n'),
  `>${'+'.repeat(STARS)}[>-[>-[>+<-]>[-]<<-]>>${'+'.repeat(42)}.[-]<<<-]`,
  `>>>>${'+'.repeat(10)}.`,
].join('')

const [path] = process.argv.slice(2)
const program = parse(path === undefined ? DEMO : readFileSync(path, 'latin1'))
const input = path === undefined || process.stdin.isTTY ? Buffer.alloc(0) : readFileSync(0)
const memory = new CodeMemory()
const interpreted = timed('interpreted', terminal => {
  interpret(program, terminal)
})
const compiled = timed('compiled', terminal => {
  using run = compile(program, terminal)
  run.call(new Uint8Array(CELLS))
})
process.stdout.write(compiled.output)
assert.equal(compiled.output, interpreted.output, 'the compiled program prints what the interpreted one does')
if (path === undefined) assert.equal(compiled.output, `codeslab\n${'*'.repeat(STARS)}\n`)
assert.equal(memory.stats().live, 0, 'no code is left')
if (path === undefined) assert(compiled.time < interpreted.time, 'and it takes less time, compiling included')
console.log(`compiling and running is ${(interpreted.time / compiled.time).toFixed(1)} times as fast as interpreting`)

/** Instructions of a text: what is repeated becomes one of them, and everything else is a comment. */
function parse(text: string): Instruction[] {
  const found: Instruction[] = []
  const open: number[] = []
  for (const [part] of text.replaceAll(/[^-+<>[\].,]/g, '').matchAll(/\[[-+]\]|[-+]+|[<>]+|./g)) {
    const count = part.replaceAll(/[-<]/g, '').length * 2 - part.length
    if (/^[-+]/.test(part)) found.push({ op: 'add', count: count & 0xff })
    else if (/^[<>]/.test(part)) found.push({ op: 'move', count: count & 0xffff })
    else if (part.length === 3) found.push({ op: 'clear' })
    else if (part === '[') open.push(found.push({ op: 'open', other: 0 }) - 1)
    else if (part === ']') close(found, open.pop())
    else found.push({ op: part === '.' ? 'print' : 'read' })
  }
  if (open.length > 0) throw new SyntaxError('a [ without its ]')
  return found
}

function close(found: Instruction[], start: number | undefined): void {
  if (start === undefined) throw new SyntaxError('a ] without its [')
  found[start] = { op: 'open', other: found.length }
  found.push({ op: 'close', other: start })
}

/** Runs instructions one by one: what the compiled program is measured against. */
function interpret(program: readonly Instruction[], terminal: Terminal): void {
  const tape = new Uint8Array(CELLS)
  let at = 0
  for (let next = 0; next < program.length; next++) {
    const instruction = program[next] as Instruction
    const cell = tape[at] as number
    if (instruction.op === 'add') tape[at] = cell + instruction.count
    else if (instruction.op === 'move') at = (at + instruction.count) & (CELLS - 1)
    else if (instruction.op === 'clear') tape[at] = 0
    else if (instruction.op === 'print') terminal.print(cell)
    else if (instruction.op === 'read') tape[at] = terminal.read()
    else if ((cell === 0) === (instruction.op === 'open')) next = instruction.other
  }
}

/**
 * Makes machine code of instructions. It keeps the tape in rbx and the index in r12, which functions that it calls leave alone, and finds
 * the addresses of these in a table of constants that lies near the code.
 */
function compile(program: readonly Instruction[], terminal: Terminal) {
  const print = memory.callback({ arguments: ['uint8'] }, terminal.print)
  const read = memory.callback({ return: 'uint8', arguments: [] }, terminal.read)
  const code = encode(program)
  const inFlight = memory.allocate({
    brainfuck: { protection: 'rx', size: code.bytes.length, align: 16, name: 'brainfuck program' },
    table: { protection: 'ro', bytes: BigUint64Array.of(print.pointer, read.pointer), align: 8 },
  })
  // The addresses are final: what refers to the table can be filled in before anything is published.
  const distance = Number(inFlight.table.address - inFlight.brainfuck.address)
  for (const { at, entry } of code.calls) code.bytes.writeInt32LE(distance + entry * 8 - (at + 4), at)
  inFlight.brainfuck.write(code.bytes)
  const allocation = inFlight.finalize()
  return {
    call: allocation.brainfuck.function({ return: 'void', arguments: ['buffer'] }),
    [Symbol.dispose]() {
      allocation.free()
      print.dispose()
      read.dispose()
    },
  }
}

/** A place in the code that calls an entry of the table, by a distance that is not known yet. */
interface TableCall {
  at: number
  entry: number
}

function encode(program: readonly Instruction[]): { bytes: Buffer; calls: TableCall[] } {
  const bytes: number[] = []
  const calls: TableCall[] = []
  /** Where the code behind each opening bracket begins. */
  const bodies: number[] = []
  const int32 = (value: number) => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff]
  const callTable = (entry: number) => {
    bytes.push(0xff, 0x15, ...int32(0)) // call [rip + distance]
    calls.push({ at: bytes.length - 4, entry })
  }
  const emit: { [Op in Instruction['op']]: (instruction: Extract<Instruction, { op: Op }>) => void } = {
    add: ({ count }) => bytes.push(0x42, 0x80, 0x04, 0x23, count), // add byte [rbx + r12], count
    move: ({ count }) => bytes.push(0x66, 0x41, 0x81, 0xc4, count & 0xff, count >> 8), // add r12w, count
    clear: () => bytes.push(0x42, 0xc6, 0x04, 0x23, 0), // mov byte [rbx + r12], 0
    print: () => {
      bytes.push(0x42, 0x0f, 0xb6, 0x3c, 0x23) // movzx edi, byte [rbx + r12]
      callTable(0)
    },
    read: () => {
      callTable(1)
      bytes.push(0x42, 0x88, 0x04, 0x23) // mov [rbx + r12], al
    },
    open: () => {
      bytes.push(0x42, 0x80, 0x3c, 0x23, 0, 0x0f, 0x84, ...int32(0)) // cmp byte [rbx + r12], 0; jz behind the loop
      bodies.push(bytes.length)
    },
    close: () => {
      const body = bodies.pop() as number
      bytes.push(0x42, 0x80, 0x3c, 0x23, 0, 0x0f, 0x85) // cmp byte [rbx + r12], 0; jnz to the body
      bytes.push(...int32(body - (bytes.length + 4)))
      bytes.splice(body - 4, 4, ...int32(bytes.length - body))
    },
  }
  bytes.push(0x53, 0x41, 0x54, 0x48, 0x83, 0xec, 8) // push rbx; push r12; sub rsp, 8: the stack is aligned for calls
  bytes.push(0x48, 0x89, 0xfb, 0x45, 0x31, 0xe4) // mov rbx, rdi; xor r12d, r12d
  for (const instruction of program) (emit[instruction.op] as (instruction: Instruction) => void)(instruction)
  bytes.push(0x48, 0x83, 0xc4, 8, 0x41, 0x5c, 0x5b, 0xc3) // add rsp, 8; pop r12; pop rbx; ret
  return { bytes: Buffer.from(bytes), calls }
}

/** A program that prints a text: for each letter, the difference to the one before. */
function print(text: string): string[] {
  const codes = [0, ...Buffer.from(text, 'latin1')]
  const steps = codes.slice(1).map((code, index) => code - (codes[index] as number))
  return [...steps.map(step => `${(step < 0 ? '-' : '+').repeat(Math.abs(step))}.`), '[-]']
}

/** What a run prints and how many milliseconds it takes. It reads the standard input of this program, from its beginning. */
function timed(what: string, run: (terminal: Terminal) => void): { output: string; time: number } {
  const output: number[] = []
  let consumed = 0
  const start = performance.now()
  run({ print: byte => void output.push(byte), read: () => input[consumed++] ?? 0 })
  const time = performance.now() - start
  console.log(`${what.padEnd(12)} ${time.toFixed(1).padStart(8)} ms`)
  return { output: Buffer.from(output).toString('latin1'), time }
}

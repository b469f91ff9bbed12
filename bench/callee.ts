/**
 * One kind of call by one callee: `node bench/callee.ts ROW CALLEE COUNT [FLOOR]`. bench/calls.ts and bench/floors.ts run all of them.
 *
 * The callee is `codeslab`, `wasm` (an export that does the same), `koffi`, which is looked for where CODESLAB_KOFFI says, and else among
 * the packages here, or `floor`: the code itself as the C function of V8's, by the object FLOOR (bench/floor.ts). Each is a process of its own, since code that V8 compiled for one callee would tell about the other. The figure is
 * that of the fastest of many short rounds, as in bench/call.ts.
 */

import { createRequire } from 'node:module'
import { arch } from 'node:process'
import { CodeMemory, type Signature } from 'codeslab'
import { floor, type FloorType } from './floor.ts'
import { print } from './measure.ts'

type Callee = (...values: never[]) => unknown

/** As much of WebAssembly as is used: its types are those of browsers. */
interface Compiler {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { exports: { f: Callee; g: { value: number } } }
}

interface Row {
  signature: Signature
  /** Machine code for x86-64. */
  code: number[]
  /** The same where the arguments begin in the second register, and the types of result and arguments. */
  floor?: { code: number[]; types: FloorType[] }
  /** The type of a WebAssembly function and its body; none where it has no such types. There is one variable, an i32. */
  wasm?: { parameters: number[]; results: number[]; body: number[] }
  /** Where in the code the distance of a counter is, an int32 that counts calls as the variable does. */
  counter?: number
  /** What koffi calls it. */
  koffi: string
  /** The loop around it, of `n` calls of `f`, and whether they did what they should. */
  loop: string
}

const [, , name = '', callee = '', count = '2000000', object = ''] = process.argv
const [i32, i64, f64] = [0x7f, 0x7e, 0x7c]

const rows: Record<string, Row> = {
  int32: {
    signature: { return: 'int32', arguments: ['int32', 'int32'] },
    code: [0x8d, 0x04, 0x37, 0xc3], // lea eax, [rdi + rsi]; ret
    floor: { code: [0x8d, 0x04, 0x16, 0xc3], types: ['int32', 'int32', 'int32'] }, // lea eax, [rsi + rdx]; ret
    wasm: { parameters: [i32, i32], results: [i32], body: [0x20, 0, 0x20, 1, 0x6a] },
    koffi: 'int32_t f(int32_t, int32_t)',
    loop: 'let sum = 0; for (let k = 0; k < n; k++) sum = f(sum, 1); return sum === n',
  },
  double: {
    signature: { return: 'double', arguments: ['double', 'double'] },
    code: [0xf2, 0x0f, 0x58, 0xc1, 0xc3], // addsd xmm0, xmm1; ret
    floor: { code: [0xf2, 0x0f, 0x58, 0xc1, 0xc3], types: ['double', 'double', 'double'] },
    wasm: { parameters: [f64, f64], results: [f64], body: [0x20, 0, 0x20, 1, 0xa0] },
    koffi: 'double f(double, double)',
    loop: 'let sum = 0.5; for (let k = 0; k < n; k++) sum = f(sum, 0.5); return sum === 0.5 + n / 2',
  },
  void: {
    signature: {},
    code: [0xc3], // ret
    floor: { code: [0xc3], types: ['void'] },
    wasm: { parameters: [], results: [], body: [] },
    koffi: 'void f()',
    loop: 'for (let k = 0; k < n; k++) f(); return true',
  },
  // V8 inlines an export that does nothing, and leaves an empty loop. One that counts is called.
  count: {
    signature: {},
    code: [0xff, 0x05, 0, 0, 0, 0, 0xc3], // inc dword [rip + distance]; ret
    floor: { code: [0xff, 0x05, 0, 0, 0, 0, 0xc3], types: ['void'] },
    counter: 2,
    wasm: { parameters: [], results: [], body: [0x23, 0, 0x41, 1, 0x6a, 0x24, 0] },
    koffi: 'void f()',
    loop: 'for (let k = 0; k < n; k++) f(); return true',
  },
  uint64: {
    signature: { return: 'uint64', arguments: ['uint64'] },
    code: [0x48, 0x8d, 0x47, 0x01, 0xc3], // lea rax, [rdi + 1]; ret
    floor: { code: [0x48, 0x8d, 0x46, 0x01, 0xc3], types: ['uint64', 'uint64'] }, // lea rax, [rsi + 1]; ret
    wasm: { parameters: [i64], results: [i64], body: [0x20, 0, 0x42, 1, 0x7c] },
    koffi: 'uint64_t f(uint64_t)',
    loop: 'let sum = 0n; for (let k = 0; k < n; k++) sum = f(sum); return Number(sum) === n',
  },
  pointer: {
    signature: { return: 'int32', arguments: ['buffer'] },
    code: [0x8b, 0x07, 0xc3], // mov eax, [rdi]; ret
    koffi: 'int32_t f(void *)',
    loop: 'const bytes = Buffer.alloc(8, 1); for (let k = 0; k < n; k++) f(bytes); return true',
  },
}

if (arch !== 'x64') throw new Error('the machine code here is that of x86-64')
const memory = new CodeMemory()
const calls = Number(count)
const rounds = 100
/** Short loops before the first of them. A loop that V8 compiles while it runs has objects for numbers that one compiled from its start has not. */
const warming = { loops: 20_000, calls: 10 }
/** How many calls were counted. */
let counted = () => 0
/** How many calls did not run the code: those of the floor by code that is not compiled yet. */
let missed = () => 0
const row = rows[name]
if (row === undefined) throw new RangeError(`no ${name} among ${Object.keys(rows).join(', ')}`)
// eslint-disable-next-line @typescript-eslint/no-implied-eval, @typescript-eslint/no-unsafe-call -- one loop for each row
const loop = new Function('f', `return n => { ${row.loop} }`)(make(row)) as (count: number) => boolean
const each = Math.ceil(calls / rounds)
let best = Infinity
let isRight = true
let missedBefore = 0
for (let round = 0; round < warming.loops; round++) loop(warming.calls)
for (let round = 0; round < rounds; round++) {
  missedBefore = missed()
  const start = performance.now()
  isRight = loop(each)
  best = Math.min(best, ((performance.now() - start) * 1000) / each)
  // The floor has nothing that would do the same before its caller has been compiled.
  if (!isRight && callee !== 'floor') throw new Error('a call returned something else')
}
if (!isRight) throw new Error('a call returned something else')
if (row.counter !== undefined && counted() + missed() !== each * rounds + warming.loops * warming.calls)
  throw new Error(`${counted()} calls were counted`)
if (missed() - missedBefore > each / 100)
  throw new Error(`${missed() - missedBefore} of the last calls did not run the code`)
print({ objects: calls, failed: 0, us_per_object: best })

function make({ signature, code: own, floor: least, counter, wasm, koffi }: Row): Callee {
  const code = callee === 'floor' && least !== undefined ? least.code : own
  const inFlight = memory.allocate({
    text: { protection: 'rx', size: code.length },
    state: { protection: 'rw', size: 4 },
  })
  const bytes = Uint8Array.from(code)
  if (counter !== undefined) {
    const distance = inFlight.state.address - inFlight.text.address - BigInt(counter + 4)
    new DataView(bytes.buffer).setInt32(counter, Number(distance), true)
  }
  inFlight.text.write(bytes)
  const { text, state } = inFlight.finalize()
  counted = () => state.data('int32').value
  if (callee === 'codeslab') return text.function(signature)
  if (callee === 'wasm' && wasm !== undefined) return instantiate(wasm)
  if (callee === 'floor' && least !== undefined) {
    const { call, countSlow } = floor(memory, object, text.address, least.types)
    missed = countSlow
    return call
  }
  if (callee !== 'koffi') throw new RangeError(`${callee} has no ${name}`)
  return foreign(koffi, text.address)
}

/** An instance of a module with one function. */
function instantiate({ parameters, results, body }: NonNullable<Row['wasm']>): Callee {
  const section = (id: number, ...bytes: number[]) => [id, bytes.length, ...bytes]
  const type = [0x60, parameters.length, ...parameters, results.length, ...results]
  const code = [0, ...body, 0x0b]
  const bytes = [
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, 1, ...type),
    ...section(3, 1, 0),
    ...section(6, 1, i32, 1, 0x41, 0, 0x0b),
    ...section(7, 2, 1, 0x66, 0, 0, 1, 0x67, 3, 0),
    ...section(10, 1, code.length, ...code),
  ]
  const { WebAssembly } = globalThis as unknown as { WebAssembly: Compiler }
  const { f, g } = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(bytes))).exports
  counted = () => g.value
  return f
}

/** The same code, called by koffi. */
function foreign(prototype: string, address: bigint): Callee {
  const require = createRequire(process.env['CODESLAB_KOFFI'] ?? import.meta.url)
  const koffi = require('koffi') as {
    load: (library: null) => unknown
    proto: (prototype: string) => unknown
    decode: (address: bigint, type: unknown) => Callee
  }
  // Without it, decoding a function ends the process.
  koffi.load(null)
  return koffi.decode(address, koffi.proto(prototype))
}

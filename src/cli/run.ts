/** `codeslab run`: links files, runs their `main`, or calls functions of theirs, in a process of their own. */

import { spawnSync } from 'node:child_process'
import { constants } from 'node:os'
import {
  CodeMemory,
  type Allocation,
  type ArgumentType,
  type Image,
  type NativeFunction,
  type ResultType,
} from '../../index.ts'
import { parseCall, toTypeName, type Argument, type Call } from './call.ts'
import { statuses, UsageError } from './failure.ts'
import { linkHelp, linkOptions, parse, read, toLinkOptions } from './inputs.ts'
import { cut, print, printJson } from './output.ts'

export const runHelp = `Usage: codeslab run [OPTIONS] FILE.o|FILE.a ... [-- ARGUMENT ...]

Links files as one image and runs main with the arguments, or calls functions
and prints what they return.

  -c, --call CALL          call a function, such as 'add(1, 2)'; may be repeated
  -t, --result TYPE        the type of results that calls do not name (int32)
      --json               results for programs${linkHelp}

A call is written as in C, with the type of the result before the name:

  add(40, 2)                               int32, unless --result says otherwise
  double hypot(3.0, 4.0)                   a number with a point is a double,
  float scale(1.5f)                        with an f a float
  char * getenv("HOME")                    text is a char *, as is the result
  uint64 crc32((uint64) 0, "123", 3)       a cast says another type
  void set(&counter, 'x', null)            the address of a symbol, a character

Integers without a cast are passed as 64 bits, which serves parameters of every
width. Types are those of signatures (int8 to uint64, float, double, pointer,
char *, size_t and so on) and their names in C. Nothing can check them.

Exit status: what main returns, or 0; 1 if something does not link, 2 for a
mistake in the command, and 128 + N if signal N ended the code.

Examples:
  codeslab run hello.o
  codeslab run add.o --call 'add(40, 2)'
  codeslab run libz.a --call 'char * zlibVersion()'`

const options = {
  call: { type: 'string', short: 'c', multiple: true },
  result: { type: 'string', short: 't' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  ...linkOptions,
} as const

/** Set in the process that runs the code. */
const INSIDE = 'CODESLAB_RUN_INSIDE'

/** Runs the command. */
export function run(args: readonly string[]): number {
  const [own, passed] = atDashes(args)
  const { values, positionals } = parse('run', own, options)
  if (values.help) {
    print(runHelp)
    return statuses.success
  }
  const calls = (values.call ?? []).map(parseCall)
  const inputs = read('run', positionals)
  // Code that crashes takes its process along, and somebody has to say so.
  if (process.env[INSIDE] !== '1') return runInside(['run', ...args])
  const memory = new CodeMemory()
  const image = memory.link(inputs, toLinkOptions(values))
  const job = {
    memory,
    image,
    result: toTypeName(values.result ?? 'int32') as ResultType,
    isJson: values.json ?? false,
  }
  if (calls.length > 0) {
    callAll(job, calls)
    return statuses.success
  }
  const program = positionals[0] ?? ''
  return hasMain(image) ? runMain(job, [program, ...passed]) : explain(image, program)
}

function atDashes(args: readonly string[]): [string[], string[]] {
  const at = args.indexOf('--')
  return at < 0 ? [[...args], []] : [args.slice(0, at), args.slice(at + 1)]
}

/** What Windows ends processes with where other systems have signals. */
const exceptions = new Map<number, 'SIGSEGV' | 'SIGILL' | 'SIGFPE'>([
  [0xc000_0005, 'SIGSEGV'],
  [0xc000_00fd, 'SIGSEGV'],
  [0xc000_001d, 'SIGILL'],
  [0xc000_0094, 'SIGFPE'],
])

function runInside(args: readonly string[]): number {
  const program = process.argv[1] ?? ''
  const env = { ...process.env, [INSIDE]: '1' }
  const { status, signal, error } = spawnSync(process.execPath, [...process.execArgv, program, ...args], {
    env,
    stdio: 'inherit',
  })
  if (error) throw error
  const deadly = signal ?? exceptions.get(status ?? statuses.refused)
  if (deadly === undefined) return status ?? statuses.refused
  process.stderr.write(
    `codeslab run: the code was ended by ${deadly}\n` +
      '  -> see whether the types of the call are those of the function; to look closer:\n' +
      `     CODESLAB_GDB=1 ${INSIDE}=1 gdb --args node ${cut([program, ...args].map(quoted).join(' '), 200)}\n`,
  )
  return 128 + constants.signals[deadly]
}

function quoted(word: string): string {
  return /^[\w./=:@-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}

/** What commands run with. */
interface Job {
  readonly memory: CodeMemory
  readonly image: Image
  readonly result: ResultType
  readonly isJson: boolean
}

function callAll(job: Job, calls: readonly Call[]): void {
  const results = calls.map(call => {
    const result = call.result ?? job.result
    const value = invoke(job, call, result)
    flush(job)
    if (!job.isJson && result !== 'void') print(shownResult(value, result))
    return {
      call: call.text,
      type: result,
      value: typeof value === 'bigint' ? shownResult(value, result) : (value ?? null),
    }
  })
  if (job.isJson) printJson(results)
}

function invoke({ image }: Job, call: Call, result: ResultType): unknown {
  const types: ArgumentType[] = call.arguments.map(({ type }) => type)
  const callee = image.function(call.name, { return: result, arguments: types }) as NativeFunction
  return callee(...(call.arguments.map(argument => toValue(image, argument)) as never[]))
}

function toValue(image: Image, { symbol, value }: Argument): unknown {
  return symbol === undefined ? value : image.address(symbol)
}

/** A result as a person reads it: addresses in hexadecimal, text as it is. */
function shownResult(value: unknown, type: ResultType): string {
  const addresses = /^(pointer|ptr|string|str|buffer|arraybuffer|function)$/
  const isAddress = typeof value === 'bigint' && typeof type === 'string' && addresses.test(type)
  return isAddress ? `0x${value.toString(16)}` : String(value)
}

function hasMain(image: Image): boolean {
  return image.symbols().some(({ name, protection }) => name === 'main' && protection === 'rx')
}

function runMain(job: Job, args: readonly string[]): number {
  const main = job.image.function('main', { return: 'int32', arguments: ['int32', 'pointer', 'pointer'] })
  const vector = makeVector(job.memory, args)
  const environment = makeVector(
    job.memory,
    Object.entries(process.env).map(([name, value]) => `${name}=${value ?? ''}`),
  )
  const status = main(args.length, vector.list.address, environment.list.address)
  flush(job)
  return status & 0xff
}

/** Texts and a list of their addresses, as programs get them. */
function makeVector(memory: CodeMemory, texts: readonly string[]) {
  const bytes = Buffer.from(texts.map(text => `${text}\0`).join('') + '\0')
  const size = 8 * (texts.length + 1)
  const inFlight = memory.allocate({ list: { protection: 'rw', size }, texts: { protection: 'rw', bytes } })
  const list = new BigUint64Array(texts.length + 1)
  let address = inFlight.texts.address
  for (const [index, text] of texts.entries()) {
    list[index] = address
    address += BigInt(Buffer.byteLength(text) + 1)
  }
  inFlight.list.write(list)
  const published: Allocation & { list: { address: bigint } } = inFlight.finalize()
  kept.push(published)
  return published
}

/** What the code may use until the process ends. */
const kept: unknown[] = []

/** What the code printed comes before what is printed next. */
function flush({ memory }: Job): void {
  const fflush = memory.processSymbol('fflush')
  if (fflush !== undefined) memory.functionAt(fflush, { return: 'int32', arguments: ['pointer'] })(null)
}

/** There is nothing to run: says what there is. */
function explain(image: Image, program: string): number {
  const functions = image.symbols().filter(({ protection }) => protection === 'rx')
  const names = functions.slice(0, 12).map(({ name }) => name)
  if (names.length === 0)
    throw new UsageError(`${program} has no functions that can be called`, 'codeslab inspect shows what is in it')
  const more = functions.length > names.length ? `, and ${String(functions.length - names.length)} more` : ''
  throw new UsageError(
    `${program} has no main; its functions are ${names.join(', ')}${more}`,
    `call one: --call '${names[0] ?? ''}()'`,
  )
}

/**
 * Runs a C compiler, in a process of its own: text goes in through a pipe, and the object comes out through one. `CodeMemory.cc` uses this.
 *
 * Compilers write objects to files only. The shell that runs them makes a folder for that, and removes it whatever happens: when they fail,
 * when they are stopped, and when this process is killed meanwhile, which no code in it could see to.
 */

import { spawn } from 'node:child_process'
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { CompileOptions, CompilerDiagnostic } from '../cc.ts'
import type { LinkOptions } from '../link.ts'
import { checkFunction, checkShape, checkString, invalidType, invalidValue, names, toList } from './checks.ts'
import { refusal } from './refusal.ts'

const optionNames = names<CompileOptions>({
  source: true,
  file: true,
  name: true,
  language: true,
  flags: true,
  compiler: true,
  directory: true,
  signal: true,
  onWarning: true,
  externals: true,
  processSymbols: true,
  roots: true,
  libraries: true,
  gc: true,
  wrap: true,
  defsym: true,
  replaceable: true,
})

const linkNames = ['externals', 'processSymbols', 'roots', 'libraries', 'gc', 'wrap', 'defsym', 'replaceable'] as const

/** Those of the options that are for the linker, read before anything else happens. */
export function linkOptionsOf(options: CompileOptions): LinkOptions {
  checkShape(options, 'options', optionNames)
  return Object.fromEntries(linkNames.filter(name => options[name] !== undefined).map(name => [name, options[name]]))
}

const languages: readonly unknown[] = ['c', 'c++', 'assembler', 'assembler-with-cpp']

/** What is looked for where neither an option nor `CC` names a compiler. */
const usual = ['cc', 'gcc', 'clang']

/** Where a shell of POSIX is. */
const shell = '/bin/sh'

/** `exit` in the second trap makes the first one run, and each waits for the compiler to be gone. */
const script = `
folder=$(mktemp -d "\${TMPDIR:-/tmp}/codeslab-cc.XXXXXX") || exit 126
trap 'rm -rf "$folder"' EXIT
trap 'exit 143' HUP INT TERM
TMPDIR=$folder "$@" -o "$folder/object.o" >&2 || exit $?
cat "$folder/object.o"
`

/** What to compile, checked. */
interface Job {
  readonly source: string | undefined
  readonly name: string
  readonly language: string | undefined
  readonly flags: readonly string[]
  readonly compiler: readonly string[]
  readonly directory: string | undefined
  readonly signal: AbortSignal | undefined
  readonly onWarning: (warning: CompilerDiagnostic) => void
}

/** An object. */
export interface Compiled {
  readonly name: string
  readonly bytes: Uint8Array
}

/** How a compiler ended. */
interface Ended {
  readonly status: number | null
  readonly signal: string | null
  readonly output: string
  readonly object: Uint8Array
}

/** Compiles what the options say. */
export async function compile(options: CompileOptions): Promise<Compiled> {
  const job = toJob(options)
  job.signal?.throwIfAborted()
  const { status, signal, output, object } = await run(job)
  job.signal?.throwIfAborted()
  const diagnostics = toDiagnostics(output)
  if (status !== 0) throw failed(job, signal ?? status ?? 'nothing', output, diagnostics)
  for (const diagnostic of diagnostics) if (diagnostic.kind === 'warning') job.onWarning(diagnostic)
  return { name: job.name, bytes: object }
}

function toJob(options: CompileOptions): Job {
  checkShape(options, 'options', optionNames)
  const { source, file, name = file ?? 'source.c', language, flags = [], compiler, directory, signal } = options
  const { onWarning = warn } = options
  if ((source === undefined) === (file === undefined)) {
    throw invalidValue('options', 'an object with either source, the text of a program, or file, its path', options)
  }
  if (source !== undefined) checkSource(source)
  if (file !== undefined) checkFile(file)
  checkString(name, 'name')
  if (language !== undefined && !languages.includes(language)) {
    throw invalidValue('language', languages.map(each => `'${String(each)}'`).join(' or '), language)
  }
  if (directory !== undefined) checkString(directory, 'directory')
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidType('signal', 'an AbortSignal', signal)
  checkFunction(onWarning, 'onWarning')
  const list = toList(flags, 'flags', 'an array of strings', toFlag)
  const command = findCompiler(compiler)
  return { source, name, language, flags: list, compiler: command, directory, signal, onWarning }
}

/** People who know Bun pass a path. */
function checkSource(source: unknown): void {
  checkString(source, 'source')
  if (/^[^\s;{}()]+\.(c|cc|cpp|cxx|s)$/i.test(source)) {
    throw invalidValue('source', 'the text of a program; pass the path of one as file', source)
  }
}

function checkFile(file: unknown): void {
  checkString(file, 'file')
  if (!existsSync(file)) throw invalidValue('file', 'the path of a file that is there; pass text as source', file)
}

function toFlag(flag: unknown, name: string): string {
  checkString(flag, name)
  if (/^-(o|S|E|M|MM|shared|r|fsyntax-only|flto.*)$/.test(flag)) {
    throw invalidValue(name, 'a flag with which the compiler makes one object of machine code', flag)
  }
  if (/^-l./.test(flag)) {
    const library = `lib${flag.slice(2)}`
    const expected = `no library: pass it as libraries: ['${library}.so.6'], or by the path of ${library}.a`
    throw invalidValue(name, expected, flag)
  }
  return flag
}

/** The words of the command that was asked for, or of the first compiler that is there. */
function findCompiler(compiler: unknown): string[] {
  if (compiler !== undefined) checkString(compiler, 'compiler')
  if (!existsSync(shell)) {
    const message = `compiling takes a shell, ${shell}, which this system has not: compile to an object yourself, and link that`
    throw refusal('ERR_CODESLAB_UNSUPPORTED_PLATFORM', message, {})
  }
  // `CC` may have flags, or a wrapper before the compiler.
  const asked = (compiler ?? process.env['CC'] ?? '').split(/\s+/).filter(word => word !== '')
  const tried = asked.length > 0 ? [asked] : usual.map(name => [name])
  const found = tried.find(([program = '']) => isProgram(program))
  if (found !== undefined) return found
  const names = tried.map(([program]) => program ?? '')
  const origin = compiler === undefined ? (asked.length > 0 ? ' (from CC)' : '') : ' (the option compiler)'
  const message =
    `there is no C compiler: ${names.join(', ')}${origin} is not on the PATH. Install one (Debian and Ubuntu: apt-get install gcc ` +
    'libc6-dev, Fedora: dnf install gcc, Alpine: apk add build-base), or name it in CC or the option compiler'
  throw refusal('ERR_CODESLAB_NO_COMPILER', message, { tried: names })
}

function isProgram(name: string): boolean {
  const paths = name.includes('/') ? [name] : (process.env['PATH'] ?? '').split(delimiter).map(path => join(path, name))
  return paths.some(path => {
    try {
      accessSync(path, constants.X_OK)
      return statSync(path).isFile()
    } catch {
      return false
    }
  })
}

/** The compiler's arguments, but for where the object goes. */
function toArguments({ source, name, language, flags }: Job): string[] {
  const spoken = source === undefined ? language : (language ?? 'c')
  const dialect = spoken === undefined ? [] : ['-x', spoken]
  return ['-c', '-O2', '-fPIC', '-fno-lto', ...flags, ...dialect, source === undefined ? name : '-']
}

/** Resolves when it has ended, whichever way. */
function run(job: Job): Promise<Ended> {
  const { promise, resolve, reject } = withResolvers<Ended>()
  // A group of its own: stopping reaches all of it, and a Ctrl-C that ends this process leaves it to tidy up.
  const child = spawn(shell, ['-c', script, 'codeslab-cc', ...job.compiler, ...toArguments(job)], {
    cwd: job.directory,
    detached: true,
    env: { ...process.env, LC_ALL: 'C', GCC_COLORS: '', CLICOLOR_FORCE: '0' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const [objects, texts]: Buffer[][] = [[], []]
  child.stdout.on('data', (piece: Buffer) => objects?.push(piece))
  child.stderr.on('data', (piece: Buffer) => texts?.push(piece))
  // A compiler that fails early does not read all of it.
  child.stdin.on('error', () => undefined)
  // A line marker, so that lines count from the source's first.
  child.stdin.end(job.source === undefined ? '' : `# 1 ${JSON.stringify(job.name)}\n${job.source}\n`)
  const stop = () => {
    if (child.pid !== undefined) stopGroup(child.pid)
  }
  job.signal?.addEventListener('abort', stop)
  child.on('error', reject)
  child.on('close', (status, signal) => {
    job.signal?.removeEventListener('abort', stop)
    const output = Buffer.concat(texts ?? []).toString()
    resolve({ status, signal, output, object: new Uint8Array(Buffer.concat(objects ?? [])) })
  })
  return promise
}

function stopGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGTERM')
  } catch {
    // It has ended by itself.
  }
}

function withResolvers<T>() {
  let resolve: (value: T) => void = () => undefined
  let reject: (reason: Error) => void = () => undefined
  const promise = new Promise<T>((resolved, rejected) => {
    resolve = resolved
    reject = rejected
  })
  return { promise, resolve, reject }
}

/** What a compiler has said, as GCC and Clang format it. */
export function toDiagnostics(output: string): CompilerDiagnostic[] {
  const pattern = /^([^\s:][^:\n]*):(\d+):(?:(\d+):)? (?:fatal )?(error|warning|note|Error|Warning): (.*)$/gm
  const found = output.matchAll(pattern)
  return Array.from(found, ([, file = '', line, column = '0', kind = '', message = '']) => {
    return { kind: kind.toLowerCase() as 'error', file, line: Number(line), column: Number(column), message }
  })
}

function failed(job: Job, status: number | string, output: string, diagnostics: readonly CompilerDiagnostic[]): Error {
  const errors = diagnostics.filter(({ kind }) => kind === 'error')
  const [first] = errors
  const compiler = job.compiler.join(' ')
  const said = first === undefined ? lastLine(output) : place(first)
  const others = errors.length > 1 ? ` (and ${String(errors.length - 1)} more)` : ''
  const message = `${compiler} does not compile ${job.name}: ${said || `it ended with ${String(status)}`}${others}; all that it says is in output`
  return refusal('ERR_CODESLAB_COMPILER', message, { compiler, object: job.name, status, output, diagnostics })
}

function place({ file, line, column, message }: CompilerDiagnostic): string {
  return `${file}:${String(line)}:${column > 0 ? `${String(column)}:` : ''} ${message}`
}

function lastLine(output: string): string {
  return output.trim().split('\n').at(-1) ?? ''
}

function warn(warning: CompilerDiagnostic): void {
  process.emitWarning(place(warning), 'CompilerWarning')
}

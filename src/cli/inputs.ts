/** Options that all commands about files share, and what is made of them for a link. */

import { readFileSync, statSync } from 'node:fs'
import { parseArgs, type ParseArgsConfig } from 'node:util'
import type { LinkOptions, NamedInput } from '../../index.ts'
import { UsageError } from './failure.ts'

type Options = NonNullable<ParseArgsConfig['options']>

/** How files are linked. */
export const linkOptions = {
  library: { type: 'string', short: 'l', multiple: true },
  root: { type: 'string', short: 'r', multiple: true },
  external: { type: 'string', short: 'e', multiple: true },
  gc: { type: 'boolean' },
  'no-process-symbols': { type: 'boolean' },
} as const satisfies Options

/** What they mean. */
export const linkHelp = `
  -l, --library FILE       look for what is missing in an archive, or in a
                           shared library by its path or name (libm.so.6)
  -r, --root NAME          link what this symbol needs, and no other members of
                           archives
  -e, --external NAME=AT   a symbol's address, such as log=0x7f0000001000
      --gc                 leave out sections that nothing needs
      --no-process-symbols do not look for symbols in Node and its libraries`

/** The values of those options. */
export interface LinkValues {
  readonly library?: string[] | undefined
  readonly root?: string[] | undefined
  readonly external?: string[] | undefined
  readonly gc?: boolean | undefined
  readonly 'no-process-symbols'?: boolean | undefined
}

/** What is read from arguments by options. */
type Parsed<T extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: T; allowPositionals: true; strict: true }>
>

/** The arguments of a command. A mistake in them is told as such. */
export function parse<const T extends Options>(command: string, args: readonly string[], options: T): Parsed<T> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (error) {
    const known = Object.keys(options).map(name => `--${name}`)
    const [message = ''] = (error as Error).message.split('. To specify')
    throw new UsageError(`${command}: ${message}`, `it takes ${known.join(', ')}; see codeslab ${command} --help`)
  }
}

/** The files as they are linked. */
export function read(command: string, paths: readonly string[]): NamedInput[] {
  if (paths.length === 0) {
    throw new UsageError(`${command}: no file`, `codeslab ${command} FILE.o, or an archive: FILE.a`)
  }
  return paths.map(path => ({ name: path, bytes: readFile(path) }))
}

function readFile(path: string): Buffer {
  try {
    if (statSync(path).isDirectory()) throw new UsageError(`${path} is a folder`, 'pass the objects or archives in it')
    return readFileSync(path)
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException
    if (syscall === undefined) throw error
    const reasons: Readonly<Record<string, string>> = { ENOENT: 'there is no such file', EACCES: 'it may not be read' }
    throw new UsageError(`cannot read ${path}: ${reasons[code ?? ''] ?? code ?? ''}`, 'name a file that is there')
  }
}

/** The options of the link. */
export function toLinkOptions(values: LinkValues): LinkOptions {
  return {
    libraries: values.library ?? [],
    roots: values.root ?? [],
    externals: new Map((values.external ?? []).map(toExternal)),
    gc: values.gc ?? false,
    processSymbols: !(values['no-process-symbols'] ?? false),
  }
}

function toExternal(text: string): [string, bigint] {
  const [, name = '', address = ''] = /^([^=]+)=(0x[0-9a-f]+|\d+)$/i.exec(text) ?? []
  if (name === '')
    throw new UsageError(`--external ${text} is no symbol with an address`, 'write --external NAME=0x1234')
  return [name, BigInt(address)]
}

/** Programs in processes of their own, for what would end this one. */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

/** How a program ended. */
export interface Ending {
  /** What it exited with, or null if a signal ended it. */
  readonly status: number | null
  /** The signal that ended it, if one did. */
  readonly signal: NodeJS.Signals | null
  /** What it printed. */
  readonly output: string
  /** What it complained about. */
  readonly complaints: string
}

/** What surrounds a program. */
export interface Surroundings {
  /** Files that it can read, by their name in `process.argv[2]`, which is a folder. */
  readonly files?: Readonly<Record<string, Uint8Array>>
  /** Environment variables that it has besides those of this process. */
  readonly environment?: Readonly<Record<string, string>>
  /** Options of Node. */
  readonly flags?: readonly string[]
}

/** Where a program finds what these tests import. */
const library = pathToFileURL(resolve(import.meta.dirname, '..', '..', 'index.ts')).href

/** Runs a module whose code is `program`, in which `codeslab` is imported and `input(name)` reads a file. */
export function run(program: string, surroundings: Surroundings = {}): Ending {
  const { files = {}, environment = {}, flags = [] } = surroundings
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-test-'))
  try {
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes)
    const path = join(folder, 'program.mjs')
    writeFileSync(path, prelude + program)
    const env = { ...process.env, NODE_OPTIONS: '', ...environment }
    const ended = spawnSync(process.execPath, ['--no-warnings', ...flags, path, folder], { env, encoding: 'utf8' })
    return { status: ended.status, signal: ended.signal, output: ended.stdout, complaints: ended.stderr }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What the systems say of a program that used memory as it must not, and of one that executed an instruction that traps. */
const deaths = new Map<unknown, 'fault' | 'trap'>([
  ['SIGSEGV', 'fault'],
  ['SIGTRAP', 'trap'],
  [0xc000_0005, 'fault'],
  [0x8000_0003, 'trap'],
])

/** How code ended a program, or what the program printed. */
export function outcomeOf({ signal, status, output }: Ending): string {
  return deaths.get(signal ?? status) ?? signal ?? output
}

/** What every program begins with. It is plain JavaScript: taking types out costs more than anything else where a processor is emulated. */
const prelude = `
import { readFileSync, writeSync } from 'node:fs'
import { CodeMemory, CodeslabError, Image } from '${library}'
const input = name => readFileSync(process.argv[2] + '/' + name)
const report = value => writeSync(1, JSON.stringify(value, (_key, item) =>
  typeof item === 'bigint' ? '0x' + item.toString(16) : item))
const caught = action => {
  try {
    action()
    return undefined
  } catch (error) {
    return { name: error.name, message: error.message, ...error }
  }
}
`

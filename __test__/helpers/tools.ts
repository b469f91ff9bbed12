/** Real debuggers and profilers, run on programs that use the library. */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const library = pathToFileURL(resolve(import.meta.dirname, '..', '..', 'index.ts')).href

/** A folder with a program, in which tools are run. */
export interface Workplace {
  /** Runs a tool, and gives what it printed. */
  readonly run: (tool: string, ...args: string[]) => string
  /** Node with the program, as tools start it. */
  readonly program: readonly string[]
  /** The names of what is in the folder. */
  readonly files: () => string[]
}

/** Has `work` done in a folder with a module whose code is `program`, in which `codeslab` is imported and `input(name)` reads a file. */
export function inWorkplace<T>(
  program: string,
  files: Readonly<Record<string, Uint8Array | string>>,
  work: (place: Workplace) => T,
): T {
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-test-'))
  const env = { ...process.env, NODE_OPTIONS: '', DEBUGINFOD_URLS: '' }
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
    writeFileSync(join(folder, 'program.mjs'), prelude + program)
    const run = (tool: string, ...args: string[]): string => {
      const { stdout, stderr } = spawnSync(tool, args, { cwd: folder, encoding: 'utf8', env, timeout: 120_000 })
      return stdout + stderr
    }
    return work({ run, program: [process.execPath, '--no-warnings', 'program.mjs'], files: () => readdirSync(folder) })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const prelude = `
import { readFileSync } from 'node:fs'
import { CodeMemory } from '${library}'
const input = name => readFileSync(name)
`

/** Why a tool cannot be used here; `undefined` if it can. */
export function missing(tool: 'gdb' | 'perf'): string | undefined {
  const tried = {
    gdb: () => spawnSync('gdb', ['--batch', '-ex', 'run', process.execPath, '--args', process.execPath, '--version']),
    perf: () => spawnSync('perf', ['record', '-q', '-o', '/dev/null', 'true']),
  }
  const { error, status } = tried[tool]()
  if (error) return `${tool} is not installed`
  return status === 0 ? undefined : `${tool} may not watch processes here`
}

#!/usr/bin/env node
/** The command `codeslab`. */

import { readFileSync } from 'node:fs'
import { statuses, tell, UsageError } from './failure.ts'
import { doctor, doctorHelp } from './doctor.ts'
import { inspect, inspectHelp } from './inspect.ts'
import { layout, layoutHelp } from './layout.ts'
import { columns, print, printJson, wrap } from './output.ts'
import { run, runHelp } from './run.ts'

const commands = { run, inspect, doctor, layout } as const

type Name = keyof typeof commands

const helps: Readonly<Record<Name, string>> = {
  run: runHelp,
  inspect: inspectHelp,
  doctor: doctorHelp,
  layout: layoutHelp,
}

const help = `Usage: codeslab COMMAND [OPTIONS] [FILE ...]

Links object files and archives into this process's memory, without a linker and
without writing a file.

  run FILE ...       run main, or call functions: --call 'add(40, 2)'
  inspect FILE ...   what is in files, what they need, what is in the way
  layout FILE ...    a picture of the memory that they take, as text or --svg
  doctor             what this system can do, and what to do about the rest

  -h, --help         this text; codeslab COMMAND --help has more
  -V, --version      the version

Exit status: 0 if all went well, 1 if something was refused, 2 for a mistake in
the command.`

/** Runs the command and gives its exit status. */
function main(args: readonly string[]): number {
  const [name, ...rest] = args
  if (name === '--version' || name === '-V') {
    print(version())
    return statuses.success
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    print(isCommand(rest[0]) ? helps[rest[0]] : help)
    return statuses.success
  }
  if (name === undefined)
    throw new UsageError('no command', `commands are ${Object.keys(commands).join(', ')}; see codeslab --help`)
  if (isCommand(name)) return commands[name](rest)
  throw new UsageError(
    `there is no command ${name}`,
    `commands are ${Object.keys(commands).join(', ')}; see codeslab --help`,
  )
}

function isCommand(name: string | undefined): name is Name {
  return name !== undefined && Object.hasOwn(commands, name)
}

function version(): string {
  // The folder of the package is three above this file in `dist`, two in the source.
  const candidates = ['../../../package.json', '../../package.json'].map(path => new URL(path, import.meta.url))
  for (const candidate of candidates) {
    try {
      const { name, version } = JSON.parse(readFileSync(candidate, 'utf8')) as { name: string; version: string }
      if (name === 'codeslab') return version
    } catch {
      // The other place.
    }
  }
  return 'unknown'
}

function fail(error: unknown, args: readonly string[]): number {
  const told = tell(error)
  if (told === undefined) throw error
  const { status, code, message, next } = told
  if (args.includes('--json')) {
    printJson({ error: { code, message, next } })
    return status
  }
  const where = isCommand(args[0]) ? `codeslab ${args[0]}` : 'codeslab'
  const what = `${where}: ${message.replace(/^(run|inspect|layout|doctor): /, '')}${code === undefined ? '' : ` (${code})`}`
  const lines = [what, ...(next === undefined ? [] : [`  -> ${wrap(next, columns(), '     ', 5)}`])]
  process.stderr.write(`${lines.join('\n')}\n`)
  return status
}

// Who reads may have had enough, as `head` has.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(statuses.success)
})

const args = process.argv.slice(2)
try {
  process.exitCode = main(args)
} catch (error) {
  process.exitCode = fail(error, args)
}

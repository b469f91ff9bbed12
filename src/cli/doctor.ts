/** `codeslab doctor`: what this process can do, why it cannot do the rest, and what to do about it. */

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { CodeMemory, CodeslabError, type Capabilities } from '../../index.ts'
import { hasFastCalls } from '../internal/inspection.ts'
import { toBytesText } from '../internal/scale.ts'
import { statuses } from './failure.ts'
import { parse } from './inputs.ts'
import { columns, print, printJson, wrap } from './output.ts'

export const doctorHelp = `Usage: codeslab doctor [--json]

Says what this system can do: how code is written and which ways do not work,
with the reason and what to do; how JavaScript calls it; what compilers,
debuggers and profilers there are. It places and calls a function to be sure.

      --json               the same for programs

Exit status: 0 if code can be placed and called, 1 if not.`

/** Something that works or does not. */
interface Check {
  readonly name: string
  /** `yes`, `no`, or `limited` where something is missing that one can do without. */
  readonly works: 'yes' | 'no' | 'limited'
  readonly found: string
  /** What to do about it. */
  readonly next?: string
}

const options = { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const

/** Runs the command. */
export function doctor(args: readonly string[]): number {
  const { values } = parse('doctor', args, options)
  if (values.help) {
    print(doctorHelp)
    return statuses.success
  }
  const checks = [system(), ...placing(), calls(), ...programs()]
  if (values.json) printJson(checks)
  else show(checks)
  return checks.some(({ works }) => works === 'no') ? statuses.refused : statuses.success
}

function system(): Check {
  const { node, v8, napi } = process.versions
  const found = `Node ${node} (V8 ${v8}, Node-API ${napi ?? '?'}) on ${process.platform}-${process.arch}`
  return { name: 'system', works: 'yes', found }
}

/** Writers, sealing, and whether a function that is placed can be called. */
function placing(): Check[] {
  let capabilities: Capabilities
  try {
    capabilities = CodeMemory.capabilities()
  } catch (error) {
    return [{ name: 'code memory', works: 'no', ...told(error) }]
  }
  const { writers, sealing, architecture, operatingSystem, pageSize, granularity } = capabilities
  const sizes = `pages of ${toBytesText(pageSize)}, reserved by ${toBytesText(granularity)}`
  return [
    { name: 'processor', works: 'yes', found: `${architecture}, ${operatingSystem}, ${sizes}` },
    trial(),
    ...writers.map(({ writer, available, reason }): Check => {
      return { name: `writer ${writer}`, ...status(available, reason, writerAdvice(writer, reason ?? '')) }
    }),
    {
      name: 'sealing of writes',
      ...status(sealing.writes.available, sealing.writes.reason, 'sealed: true takes Linux 5.1 or later'),
    },
    {
      name: 'sealing of mappings',
      ...status(
        sealing.mappings.available,
        sealing.mappings.reason,
        'mseal takes Linux 6.10 or later; sealed: true does the rest without it',
      ),
    },
    mappings(),
  ]
}

function status(available: boolean, reason: string | undefined, next: string): Omit<Check, 'name'> {
  if (available) return { works: 'yes', found: 'works' }
  return { works: 'limited', found: reason ?? 'does not work', next }
}

/** What to do so that a writer works; most need nothing, since others do. */
function writerAdvice(writer: string, reason: string): string {
  if (writer === 'pkeys')
    return 'nothing: it takes a processor with memory protection keys (PKU, in /proc/cpuinfo) and is never needed'
  if (writer === 'map-jit' && /entitlement/.test(reason))
    return 'sign the program with the entitlement com.apple.security.cs.allow-jit: see docs/macos.md'
  if (writer === 'map-jit') return 'nothing: it is a way of macOS, which other systems neither have nor need'
  if (writer === 'self-mem')
    return 'nothing, unless you chose it: newer kernels close /proc/self/mem to such writes (proc_mem.force_override=always opens it)'
  if (/noexec|memfd|mount/i.test(reason))
    return 'memory files may not be executed here: see vm.memfd_noexec (0 allows it) and mounts with noexec'
  if (/EACCES|EPERM|denied|forbid|polic/i.test(reason))
    return 'a policy forbids it: SELinux (execmem, execmod), systemd (MemoryDenyWriteExecute=no), or a seccomp filter of the container'
  return 'nothing if another writer works; else see docs/limits.md'
}

/** Places a function, calls it, and gives it back. */
function trial(): Check {
  try {
    const memory = new CodeMemory()
    const { text } = memory.allocate({ text: { protection: 'rx', bytes: answer() } }).finalize()
    const value = text.function({ return: 'int32' })()
    const found = `a function was placed, called and gave ${String(value)}; the writer is ${memory.writer}`
    return { name: 'placing and calling', works: value === 42 ? 'yes' : 'no', found }
  } catch (error) {
    return { name: 'placing and calling', works: 'no', ...told(error) }
  }
}

/** A function that returns 42, for this processor. */
function answer(): Uint8Array {
  const arm = [0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6] // mov w0, #42; ret
  const intel = [0xb8, 42, 0, 0, 0, 0xc3] // mov eax, 42; ret
  return Uint8Array.from(process.arch === 'arm64' ? arm : intel)
}

function told(error: unknown): { found: string; next: string } {
  const { message, code } = error as CodeslabError
  return {
    found: `${message} (${code})`,
    next: 'the writers below say what is in the way; docs/limits.md has the limits of systems',
  }
}

/** How many mappings a process may have. */
function mappings(): Check {
  const name = 'vm.max_map_count'
  try {
    const count = Number(readFileSync('/proc/sys/vm/max_map_count', 'utf8'))
    const found = `${count.toLocaleString('en')} mappings a process`
    if (count >= 65_530) return { name, works: 'yes', found }
    return {
      name,
      works: 'limited',
      found,
      next: 'raise it for programs with many images: sysctl -w vm.max_map_count=262144',
    }
  } catch {
    return {
      name,
      works: 'limited',
      found: 'it cannot be read',
      next: 'nothing: without /proc placing takes a little longer',
    }
  }
}

function calls(): Check {
  const name = 'calls'
  if (hasFastCalls()) return { name, works: 'yes', found: 'optimized JavaScript calls native code directly' }
  const isOff = process.env['CODESLAB_FAST_CALLS'] === '0'
  const next = isOff
    ? 'unset CODESLAB_FAST_CALLS'
    : 'use Node 20, 22, 24 or 26; everything works without, and a call takes about 60 ns instead of 5'
  return {
    name,
    works: 'limited',
    found: isOff
      ? 'CODESLAB_FAST_CALLS=0 has them go through Node-API'
      : `V8 ${process.versions.v8} is not known: calls go through Node-API`,
    next,
  }
}

/** What else one may want to have. */
function programs(): Check[] {
  const compiler = (process.env['CC'] ?? '').trim() || 'cc'
  return [
    tool(
      'C compiler',
      compiler,
      'memory.cc needs one: apt-get install gcc libc6-dev, dnf install gcc, apk add build-base',
    ),
    tool('gdb', 'gdb', 'to debug placed code: apt-get install gdb'),
    tool('perf', 'perf', 'to profile placed code: apt-get install linux-perf'),
  ]
}

function tool(name: string, command: string, next: string): Check {
  const [program = '', ...words] = command.split(/\s+/)
  const { status: code, stdout } = spawnSync(program, [...words, '--version'], { encoding: 'utf8' })
  if (code !== 0) return { name, works: 'limited', found: `${program} is not installed`, next }
  return { name, works: 'yes', found: stdout.split('\n')[0] ?? program }
}

function show(checks: readonly Check[]): void {
  const marks = { yes: 'ok', no: 'NO', limited: '--' }
  const longest = Math.max(...checks.map(({ name }) => name.length))
  const indent = ' '.repeat(longest + 6)
  for (const { name, works, found, next } of checks) {
    print(`${marks[works]}  ${name.padEnd(longest)}  ${wrap(found, columns(), indent, indent.length)}`)
    if (next !== undefined) print(`${indent}-> ${wrap(next, columns(), `${indent}   `, indent.length + 3)}`)
  }
  const broken = checks.filter(({ works }) => works === 'no')
  print('')
  print(
    broken.length === 0
      ? 'Code can be placed, linked and called here.'
      : `This does not work: ${broken.map(({ name }) => name).join(', ')}.`,
  )
}

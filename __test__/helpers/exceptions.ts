/**
 * What this machine cannot do, or the emulator that stands in for it: tests of it are skipped by that name. There are few, and each is a hole in
 * what is shown; what can be written for every machine is no exception.
 */

import test, { type ImplementationFn } from 'ava'
import { arch, env, platform, report } from 'node:process'

const isWindows = platform === 'win32'
const isQemu = env['CODESLAB_EMULATOR'] === 'qemu'
const isEmulated = env['CODESLAB_EMULATOR'] !== undefined
const isMusl = platform === 'linux' && !('glibcVersionRuntime' in header())

/** On Windows. */
const kernel = 'it is about limits, filters and seals of the kernel of Linux'
const programs = 'debuggers, profilers and compilers are those of Linux, and are not started here'
const format = 'it is about objects of ELF, or what Node for Linux exports: a C++ library, and functions of V8'
/** On qemu. */
const emulated = 'qemu has neither filters of system calls nor limits of memory of its own'
const watched = 'debuggers and profilers see the emulator'
const full = 'qemu itself ends where so much of the address space is taken'
/** On 64-bit Arm. */
const unnamed = 'GCC 12 has no names for what a 64-bit Arm processor supports'
/** On Wine. */
const listed = 'Wine lists address space as free that it does not give'

/** On musl. */
const inside = 'the variables of threads that the process has are inside of musl'
const mapped = 'the allocator of musl maps memory for itself, and is the first to be without a mapping'
const placed = 'this Node lies where the system puts it, and 32 bits do not reach its data'

/** Whether one Node, which runs the tests, stands for all: those for machines that are emulated, and for musl, are not looked for. */
export const isAlone = isEmulated || isMusl

/** How many times as long as a processor an emulator may take for the same. */
export const patience = isEmulated ? 5 : 1

/** Why not, by what it takes; `undefined` where it can be done. */
const exceptions = {
  limits: isWindows ? kernel : undefined,
  filters: isWindows ? kernel : isQemu ? emulated : undefined,
  mappings: isWindows ? kernel : isQemu ? emulated : isMusl ? mapped : undefined,
  debuggers: isWindows ? programs : isQemu ? watched : undefined,
  filesForTools: isWindows ? programs : undefined,
  compiler: isWindows && isEmulated ? programs : undefined,
  shell: isWindows ? programs : undefined,
  room: isQemu ? full : undefined,
  gap: isQemu ? full : isWindows && isEmulated ? listed : undefined,
  elf: isWindows ? format : undefined,
  processorNames: arch === 'arm64' ? unnamed : undefined,
  exceptions: isWindows ? format : undefined,
  fastCalls: isWindows ? format : undefined,
  threadVariables: isWindows ? format : isMusl ? inside : undefined,
  lowData: isWindows ? format : isMusl ? placed : undefined,
} as const

/** The models of thread-local variables that code may be compiled for: musl has no room at one distance from all thread pointers. */
export const threadModels = ['global-dynamic', 'local-dynamic', ...(isMusl ? [] : ['initial-exec', 'local-exec'])]

/** What Node says of itself and of its system. */
function header(): object {
  Object.assign(report, { excludeNetwork: true })
  return (report.getReport() as { header: object }).header
}

/** What tests take that not every machine has. */
export type Needed = keyof typeof exceptions

/** Why what a test takes is not here; `undefined` if it is. */
export function exceptionFor(needed: Needed): string | undefined {
  return exceptions[needed]
}

/** `test`, but where what it takes is missing, the test is skipped and its title says why. */
export function testWith(needed: Needed | undefined): (title: string, implementation: ImplementationFn<[]>) => void {
  const reason = needed && exceptions[needed]
  return reason === undefined
    ? (title, implementation) => {
        test(title, implementation)
      }
    : (title, implementation) => {
        test.skip(`${title}: ${reason}`, implementation)
      }
}

/**
 * What this machine cannot do, or the emulator that stands in for it: tests of it are skipped by that name. There are few, and each is a hole in
 * what is shown; what can be written for every machine is no exception.
 */

import test, { type ImplementationFn } from 'ava'
import { env, platform } from 'node:process'

const isWindows = platform === 'win32'
const isQemu = env['CODESLAB_EMULATOR'] === 'qemu'
const isEmulated = env['CODESLAB_EMULATOR'] !== undefined

const noLimits = 'Windows has none of the limits that a process of Linux sets for itself'
const noTools = 'debuggers and profilers are told on Linux alone'

/** Why not, by what it takes; `undefined` where it can be done. */
const exceptions = {
  limits: isWindows ? noLimits : undefined,
  filters: isWindows
    ? noLimits
    : isQemu
      ? 'qemu has neither filters of system calls nor limits of memory of its own'
      : undefined,
  tools: isWindows ? noTools : isQemu ? 'debuggers and profilers see the emulator' : undefined,
  toolFiles: isWindows ? noTools : undefined,
  compiler: isWindows && isEmulated ? 'no compiler can be started there' : undefined,
  nodes: isEmulated ? 'one Node of a machine that is emulated stands for all' : undefined,
  full: isQemu ? 'qemu itself ends where so much of the address space is taken' : undefined,
  elf: isWindows ? 'it is about objects of ELF' : undefined,
  exceptions: isWindows ? 'Node for Windows has no C++ library that linked code could throw with' : undefined,
} as const

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

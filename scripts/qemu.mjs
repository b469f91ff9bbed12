// Programs for AArch64 on this machine: qemu's user mode, with the libraries of Debian trixie. In a namespace of its own the kernel itself
// starts qemu for every such program, so what a program starts runs just as well, and tests need not know of it.

import { chmodSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { kept } from './cache.mjs'
import { prepareProgram, unpacked } from './debian.mjs'
import { ask, Failure, tee } from './process.mjs'

const release = 'trixie'
/** Names of compiler and tools for the processor begin with it. */
const triple = 'aarch64-linux-gnu'

/** Older ones run code that is not there any more, where an address is used again through a second view. */
const oldestQemu = 10

/** How the kernel tells a program for AArch64: the beginning of its ELF header, and which bits of that count. */
const magic = String.raw`\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00`
const mask = String.raw`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`

/** The libraries that programs and objects there need, and archives that tests link. */
const libraries = [
  'libc6',
  'libstdc++6',
  'libgcc-s1',
  'libatomic1',
  'zlib1g-dev',
  'libzstd-dev',
  'libgmp-dev',
  'libsqlite3-dev',
]

/**
 * @typedef {object} Machine
 * @property {string} qemu the program
 * @property {string} root the folder where programs find their libraries
 * @property {string} tools a folder with a compiler and what belongs to it, under the names that tests know
 */

/**
 * Fetches all of it. Throws a failure that names what is missing.
 *
 * @returns {Promise<Machine>}
 */
export async function prepareQemu() {
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Failure('qemu is set up on Linux x86-64 only')
  prepareProgram(`${triple}-g++`, `g++-${triple}`)
  const qemu = join(unpacked('qemu', release, 'amd64', ['qemu-user']), 'usr', 'bin', 'qemu-aarch64')
  const version = Number(/version (\d+)/.exec(ask(qemu, ['--version']) ?? '')?.[1] ?? 0)
  if (version < oldestQemu) throw new Failure(`qemu ${oldestQemu} or newer is needed, this is ${version}`)
  const root = unpacked('arm64', release, 'arm64', libraries, folder => {
    // What is installed as part of the base system, and not unpacked, is the way from the one name of the folder to the other.
    symlinkSync(join('usr', 'lib'), join(folder, 'lib'))
  })
  const machine = { qemu, root, tools: tools(root) }
  const { ok, output } = await runInQemu(machine, ['/lib/ld-linux-aarch64.so.1', '--version'], {
    cwd: '/',
    quiet: true,
  })
  if (!ok) throw new Failure(`no program for AArch64 starts (registering them takes Linux 6.7): ${output}`)
  return machine
}

/**
 * A compiler and what belongs to it, by the names that tests know.
 *
 * @param {string} root
 */
function tools(root) {
  return kept(`${basename(root)}-tools`, folder => {
    const compilers = { cc: 'gcc', gcc: 'gcc', 'c++': 'g++', 'g++': 'g++' }
    for (const [name, tool] of Object.entries(compilers)) {
      const file = join(folder, name)
      writeFileSync(file, `#!/bin/sh\nexec ${triple}-${tool} --sysroot='${root}' "$@"\n`)
      chmodSync(file, 0o755)
    }
    for (const tool of ['ar', 'as', 'ld', 'nm', 'objcopy', 'objdump', 'readelf', 'strip']) {
      symlinkSync(`/usr/bin/${triple}-${tool}`, join(folder, tool))
    }
  })
}

/**
 * Runs a program for AArch64. Both, it and what it starts, find the tools first.
 *
 * @param {Machine} machine
 * @param {string[]} command
 * @param {{ cwd: string, env?: Record<string, string>, quiet?: boolean }} options quiet: nothing is shown
 */
export function runInQemu({ qemu, root, tools }, command, { cwd, env = {}, quiet = false }) {
  // F: the kernel opens qemu now. P: programs are told the name that they were started by.
  const line = String.raw`:aarch64:M::${magic}:${mask}:${qemu}:PF`
  const folder = '/proc/sys/fs/binfmt_misc'
  const script = `mount -t binfmt_misc none ${folder} && printf '%s' '${line}' >${folder}/register && exec "$@"`
  const variables = { ...process.env, PATH: `${tools}:${process.env.PATH ?? ''}`, QEMU_LD_PREFIX: root, ...env }
  const [program = '', ...args] = command
  const file = program.startsWith('/lib/') ? join(root, program) : program
  const namespace = ['--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', file, ...args]
  return tee('unshare', namespace, { cwd, env: variables }, quiet)
}

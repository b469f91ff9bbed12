// Debian's packages, of other releases and other processors than this machine's, unpacked into the cache: apt is told of lists, a status
// and a configuration of its own, so nothing is installed here.

import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { kept } from './cache.mjs'
import { ask, Failure, run } from './process.mjs'

/** Another apt at work on this machine is waited for, in seconds. */
export const patience = ['-o', 'DPkg::Lock::Timeout=900']

/** Debian's mirror, as this machine's own apt has it. */
export function mirror() {
  const listed = ask('apt-get', ['indextargets', '--format', '$(SITE)']) ?? ''
  const sites = listed.split('\n').filter(site => /\/debian\/?$/.test(site))
  if (!sites[0]) throw new Failure('apt knows no mirror of Debian')
  return sites[0]
}

/**
 * Sees to it that a program is there, which a package of this machine's own release has.
 *
 * @param {string} program
 * @param {string} packageName
 */
export function prepareProgram(program, packageName) {
  if (ask('sh', ['-c', `command -v ${program}`]) !== undefined) return
  if (process.getuid?.() !== 0) throw new Failure(`${program} is missing: apt-get install ${packageName}`)
  run('apt-get', ['update', '-qq'])
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  run('apt-get', ['install', '-y', '-qq', ...patience, '--no-install-recommends', packageName], { env })
}

/**
 * The files of packages, and of all that these depend on, in a folder: another list of packages has another folder.
 *
 * @param {string} name which the name of the folder begins with
 * @param {string} release
 * @param {string} architecture what Debian calls the processor
 * @param {string[]} packages
 * @param {(folder: string) => void} [finish] what else is done to the folder
 */
export function unpacked(name, release, architecture, packages, finish = () => {}) {
  const list = createHash('sha256')
    .update([release, architecture, ...packages].join())
    .digest('hex')
  return kept(`${name}-${list.slice(0, 8)}`, folder => {
    const own = join(folder, '.apt')
    for (const part of ['state/lists/partial', 'cache/archives/partial'])
      mkdirSync(join(own, part), { recursive: true })
    const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
    writeFileSync(join(own, 'sources'), `deb [signed-by=${keyring}] ${mirror()} ${release} main\n`)
    writeFileSync(join(own, 'status'), '')
    writeFileSync(join(own, 'settings'), settings(own, architecture))
    const env = { ...process.env, APT_CONFIG: join(own, 'settings') }
    run('apt-get', ['update', '-qq'], { env })
    run('apt-get', ['install', '-qq', '-y', '--download-only', '--no-install-recommends', ...packages], { env })
    const archives = join(own, 'cache', 'archives')
    for (const file of readdirSync(archives).filter(name => name.endsWith('.deb'))) {
      run('dpkg', ['-x', join(archives, file), folder])
    }
    rmSync(own, { recursive: true })
    finish(folder)
  })
}

/**
 * @param {string} own
 * @param {string} architecture
 */
function settings(own, architecture) {
  const values = {
    'Dir::State': join(own, 'state'),
    'Dir::State::status': join(own, 'status'),
    'Dir::Cache': join(own, 'cache'),
    'Dir::Etc::SourceList': join(own, 'sources'),
    'Dir::Etc::SourceParts': '-',
    'Dir::Etc::Preferences': '-',
    'Dir::Etc::PreferencesParts': '-',
    'APT::Architecture': architecture,
    // The system's own package manager is not touched, so its lock is none of ours.
    'Debug::NoLocking': 'true',
  }
  const lines = Object.entries(values).map(([key, value]) => `${key} "${value}";`)
  return [...lines, `APT::Architectures { "${architecture}"; };`, ''].join('\n')
}

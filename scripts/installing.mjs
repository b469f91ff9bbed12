// node scripts/installing.mjs FOLDER: installs the tarballs in a folder into an empty project as a user's npm does, and uses what came of it
// from ES modules and CommonJS, on the Node that runs this. It needs nothing but Node and npm.

import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { platforms, thisPlatform } from './platforms.mjs'
import { Failure, main, root, run } from './process.mjs'

/** @typedef {import('./platforms.mjs').Platform} Platform */

/** Programs that use the installed package, and what they need. */
const consumer = join(root, 'scripts', 'consumer')
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

if (process.argv[1] === import.meta.filename) {
  await main(() => {
    const folder = resolve(process.argv[2] ?? join(root, '.cache', 'pack'))
    const tarballs = readdirSync(folder).flatMap(name => (name.endsWith('.tgz') ? [join(folder, name)] : []))
    const project = mkdtempSync(join(tmpdir(), 'codeslab-installing-'))
    try {
      install(project, tarballs, thisPlatform())
      for (const file of ['use.mjs', 'use.cjs']) run(process.execPath, [file], { cwd: project })
    } finally {
      rmSync(project, { recursive: true, force: true })
    }
    console.log(`The package works on ${thisPlatform()?.title}, Node ${process.versions.node}.`)
  })
}

/**
 * Has npm make a project of tarballs, without a network, and checks that it took the package of the system and no other.
 *
 * Of each platform's package, only the file is known here, so the project itself depends on all of them, as optionally as the main package
 * does.
 *
 * @param {string} project an empty folder
 * @param {string[]} tarballs
 * @param {Platform | undefined} platform the one to install for: npm is told its names
 * @param {NodeJS.ProcessEnv} [env]
 */
export function install(project, tarballs, platform, env = process.env) {
  if (!platform) throw new Failure(`codeslab has no package for ${process.platform} on ${process.arch}`)
  const files = Object.fromEntries(tarballs.map(path => [nameOf(path), `file:${path}`]))
  const { codeslab, ...optionalDependencies } = files
  if (!codeslab) throw new Failure('the main package is not among the tarballs')
  const manifest = {
    name: 'consumer',
    version: '1.0.0',
    private: true,
    dependencies: { codeslab },
    optionalDependencies,
  }
  writeFileSync(join(project, 'package.json'), JSON.stringify(manifest))
  const { os, cpu, libc } = platform
  const system = [`--os=${os}`, `--cpu=${cpu}`, ...(libc ? [`--libc=${libc}`] : [])]
  const quiet = ['--offline', '--no-audit', '--no-fund', '--loglevel=error']
  // npm is a script there, which takes a shell to start.
  run(npm, ['install', ...quiet, ...system], { cwd: project, env, shell: process.platform === 'win32' })
  checkInstalled(project, platform)
  cpSync(consumer, project, { recursive: true })
}

/**
 * @param {string} project
 * @param {Platform} platform
 */
function checkInstalled(project, { name }) {
  const installed = readdirSync(join(project, 'node_modules')).filter(entry => entry.startsWith('codeslab-'))
  if (installed.join() !== `codeslab-${name}`) {
    throw new Failure(`for ${name}, npm installed ${installed.join(', ') || 'no binary'}`)
  }
}

/**
 * The name of the package in a tarball. npm calls the file by it and the version.
 *
 * @param {string} tarball
 */
function nameOf(tarball) {
  const file = tarball.split(/[/\\]/).pop() ?? ''
  const known = ['codeslab', ...platforms.map(({ name }) => `codeslab-${name}`)]
  const name = known.find(name => new RegExp(`^${name}-\\d`).test(file))
  if (name === undefined) throw new Failure(`${tarball} is none of our packages`)
  return name
}

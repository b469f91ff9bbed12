// The Nodes that are supported, for tests that have to hold on each: `node scripts/nodes.mjs` fetches those that are not here yet.
// They come from npm and are kept outside of the checkout, in the user's cache.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { ask } from './process.mjs'

/** The major versions. */
const majors = [20, 22, 24, 26]

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'codeslab', 'node')

/**
 * The Node of each major version that is here: the path by the version.
 *
 * @returns {Record<string, string>}
 */
export function supportedNodes() {
  const found = majors.map(major => [`${major}`, program(major)])
  return Object.fromEntries(found.filter(([, path]) => existsSync(path ?? '')))
}

/** Whether all of them are here, or why not. */
export function missingNodes() {
  return majors.filter(major => !existsSync(program(major)))
}

/** @param {number} major */
function program(major) {
  return join(cache, `${major}`, 'package', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
}

/** @param {number} major */
function fetchNode(major) {
  const folder = join(cache, `${major}`)
  mkdirSync(folder, { recursive: true })
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}@${major}`
  const packed = spawnSync('npm', ['pack', '--silent', name], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
  const archive = readdirSync(folder).find(file => file.endsWith('.tgz'))
  if (packed.status !== 0 || archive === undefined) return false
  return spawnSync('tar', ['-xzf', archive], { cwd: folder, stdio: 'inherit' }).status === 0
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === import.meta.filename) {
  for (const major of missingNodes()) {
    if (!fetchNode(major)) process.exitCode = 1
    console.log(`Node ${major}: ${ask(program(major), ['--version']) ?? 'not to be had'}`)
  }
}

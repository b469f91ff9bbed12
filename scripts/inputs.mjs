// The libraries that tests, examples and benchmarks link: built from source by the crate in testing, which keeps them.

import { spawnSync } from 'node:child_process'
import { Failure, root } from './process.mjs'

/**
 * The paths of archives by name, such as `libz.a`: all there are without a name. Builds what has not been built yet. With
 * `--compiler=PROGRAM FLAG…` among the names, they are for the machine that it compiles for.
 *
 * @param {string[]} names
 * @returns {string[]}
 */
export function archives(...names) {
  const program = ['run', '--quiet', '--package', 'codeslab-testing', '--bin', 'inputs', '--', ...names]
  const { status, stdout } = spawnSync('cargo', program, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status !== 0) throw new Failure('the libraries to link cannot be built; the reason stands above')
  return stdout.trim().split('\n')
}

// npm run stress -- --minutes 60: model-based stress of the Node module (__test__/stress/main.ts) and, beside it, the Rust tests in which
// many threads meet, over and over. It ends with how much of each was done, and fails if anything did.

import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Failure, main, root, run, tee } from './process.mjs'
import { pinnedNode, prepare } from './setup.mjs'

/** The tests in which threads meet, with every writer that works here. */
const crowds = ['stress::', 'threads::', 'find::']

await main(async () => {
  const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' } }, strict: false })
  prepare()
  const test = ['test', '--release', '--quiet', '--package', 'codeslab', '--test', 'it']
  run('cargo', [...test, '--no-run'])
  const end = Date.now() + Number(values.minutes) * 60_000
  const stress = join(root, '__test__', 'stress', 'main.ts')
  const node = tee(pinnedNode, ['--expose-gc', '--no-warnings', stress, ...process.argv.slice(2)])
  const rounds = await repeat(end, () => tee('cargo', [...test, '--', ...crowds]))
  const { ok } = await node
  console.log(`${rounds} rounds of the Rust tests`)
  if (!ok) throw new Failure('the stress of the Node module failed, see above')
})

/**
 * Runs something until it is late, and says how often.
 *
 * @param {number} end
 * @param {() => Promise<{ ok: boolean }>} action
 */
async function repeat(end, action) {
  let rounds = 0
  do {
    const { ok } = await action()
    if (!ok) throw new Failure('the Rust tests failed, see above')
    rounds++
  } while (Date.now() < end)
  return rounds
}

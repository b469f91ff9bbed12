// npm run demo, and npm run demo:NAME for the other programs in examples/: brings the checkout up and runs an example of it.

import { join } from 'node:path'
import { archives } from './inputs.mjs'
import { main, root, run } from './process.mjs'
import { pinnedNode, prepare } from './setup.mjs'

await main(() => {
  prepare()
  const example = process.argv[2] ?? 'demo'
  const values = process.argv.slice(3)
  run(pinnedNode, [join(root, 'examples', `${example}.ts`), ...(values.length > 0 ? values : given(example))])
})

/**
 * What an example is started with.
 *
 * @param {string} example
 */
function given(example) {
  return example === 'demo' ? archives('libz.a') : []
}

// npm run demo, npm run demo:assembler: brings the checkout up and runs an example of it.

import { join } from 'node:path'
import { archives } from './inputs.mjs'
import { main, root, run } from './process.mjs'
import { pinnedNode, prepare } from './setup.mjs'

await main(() => {
  prepare()
  const example = process.argv[2] ?? 'demo'
  run(pinnedNode, [join(root, 'examples', `${example}.ts`), ...archives('libz.a')])
})

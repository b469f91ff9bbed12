// npm run docs: the API reference, in docs/api. A warning is an error.

import { join } from 'node:path'
import { main, root, run } from './process.mjs'
import { installDependencies } from './setup.mjs'

await main(() => {
  installDependencies()
  run(process.execPath, [join(root, 'node_modules', 'typedoc', 'bin', 'typedoc')])
})

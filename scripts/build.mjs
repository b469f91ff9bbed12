// npm run build: everything that is built, where anything has changed.

import { main } from './process.mjs'
import { prepare } from './setup.mjs'

await main(prepare)

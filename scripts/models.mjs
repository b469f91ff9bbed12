// npm run test:models: what threads do to each other, in every order. Loom takes the place of the standard library's atomics and
// threads (`crates/codeslab/src/sync`) and runs each model of `crates/codeslab/src/loom_tests` again and again.

import { join } from 'node:path'
import { main, root, run } from './process.mjs'

await main(() => {
  const env = {
    ...process.env,
    // The flag concerns every crate: elsewhere it would have them all built anew each time.
    CARGO_TARGET_DIR: join(root, 'target', 'models'),
    RUSTFLAGS: '--cfg loom',
  }
  const build = ['test', '--package', 'codeslab', '--lib', '--profile', 'models', '--quiet']
  run('cargo', [...build, 'loom_tests::'], { env })
})

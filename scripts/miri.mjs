// npm run test:miri: the tests that need no system, run by Miri, which watches every access: that pointers stay inside of what they
// were made from, that nothing is read before it was written or used after it was freed, that threads do not race. The memory
// manager runs on its fake platform there, whose address space is heap memory. What calls a real system, Miri cannot run.

import { join } from 'node:path'
import { ask, Failure, main, root, run } from './process.mjs'

const setup = 'rustup toolchain install nightly --profile minimal --component miri --component rust-src'

/** Left out, because they take minutes each under Miri and do nothing that others do not: they repeat, until something is full. */
const tooLong = ['a_budget_of_mappings_refuses_what_would_exceed_it']

await main(() => {
  if (ask('rustc', ['+nightly', '--version']) === undefined)
    throw new Failure(`there is no nightly toolchain: ${setup}`)
  if (ask('cargo', ['+nightly', 'miri', '--version']) === undefined) throw new Failure(`there is no Miri: ${setup}`)
  const env = {
    ...process.env,
    // A toolchain of its own would have everything built anew each time.
    CARGO_TARGET_DIR: join(root, 'target', 'miri'),
    // Property tests look for the file of earlier failures, and take how many cases they try from a variable.
    MIRIFLAGS: '-Zmiri-disable-isolation',
    PROPTEST_CASES: '2',
  }
  const skips = tooLong.flatMap(name => ['--skip', name])
  run('cargo', ['+nightly', 'miri', 'test', '--package', 'codeslab', '--lib', '--', ...skips], { env })
})

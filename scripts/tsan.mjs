// npm run test:tsan: the memory manager's tests with many threads, watched by ThreadSanitizer. It needs a nightly toolchain with
// the standard library's source, so that the library is watched, too: without that it reports what the library keeps in order.

import { join } from 'node:path'
import { ask, Failure, main, root, run } from './process.mjs'

/** The tests in which threads meet. */
const tests = ['stress::', 'threads::', 'find::']
const setup = 'rustup toolchain install nightly --profile minimal --component rust-src'

await main(() => {
  const sysroot = ask('rustc', ['+nightly', '--print', 'sysroot'])
  const host = ask('rustc', ['+nightly', '--print', 'host-tuple'])
  if (sysroot === undefined || host === undefined) throw new Failure(`there is no nightly toolchain: ${setup}`)
  const env = {
    ...process.env,
    CARGO_TARGET_DIR: join(root, 'target', 'tsan'),
    // The sanitizer knows nothing of barriers that one thread makes another execute.
    RUSTFLAGS: '--cfg tsan -Zsanitizer=thread',
    TSAN_OPTIONS: 'halt_on_error=1',
  }
  const build = ['+nightly', 'test', '-Zbuild-std', '--target', host, '--package', 'codeslab']
  run('cargo', [...build, '--test', 'it', '--', ...tests], { env })
  // Tests of the units on threads of their own.
  run(
    'cargo',
    [...build, '--lib', '--', 'remote_frees::', 'thread_id::', 'biased_lock::', 'bits::', 'thread_cache::'],
    { env },
  )
})

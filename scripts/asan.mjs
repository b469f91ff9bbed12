// npm run test:asan: the Rust tests of the memory manager, the linker and the calls, watched by AddressSanitizer and, at the end of each
// process, by LeakSanitizer. It needs a nightly toolchain. The sanitizer knows nothing of pages that codeslab maps, so it watches what is
// beside them: metadata, staged bytes, parsers.

import { join } from 'node:path'
import { ask, Failure, main, root, run } from './process.mjs'

const setup = 'rustup toolchain install nightly --profile minimal'

/** Tests that cannot run there, and why. */
const impossible = {
  // Shadow memory takes 16 TiB of address space, and the sanitizer maps more of it whenever it is used.
  'limits::': 'limits of the address space and of private memory',
  where_address_space_is_short: 'limits of the address space',
  'gaps::': 'an address space that is filled by hand',
  // It wants to be the first library, and so does the one that makes calls fail.
  'refusals::': 'a library that is loaded before the C library',
  // LeakSanitizer stops all threads by calls that these forbid.
  'policies::': 'filters of system calls',
  'containers::': 'filters of system calls',
  // A child leaves what it inherited to its parent; these are child and parent in one process.
  'fake_tests::rollback::a_forked_child': 'a child of the fake system leaks what its parent would free',
  'fake_tests::sealed::a_forked_child': 'a child of the fake system leaks what its parent would free',
  // What forks by the system call itself has the sanitizer's locks as they just were.
  'outside::forks::forks_while_another_thread_works_are_right': 'children that share the locks of the sanitizer',
}

await main(() => {
  const host = ask('rustc', ['+nightly', '--print', 'host-tuple'])
  if (host === undefined) throw new Failure(`there is no nightly toolchain: ${setup}`)
  const env = {
    ...process.env,
    CARGO_TARGET_DIR: process.env['CARGO_TARGET_DIR'] ?? join(root, 'target', 'asan'),
    RUSTFLAGS: '-Zsanitizer=address',
    // Tests die of signals on purpose, and see by which. What a test leaves to the end of its process is no leak of ours to find.
    ASAN_OPTIONS: 'handle_segv=0:handle_sigbus=0:handle_sigill=0:detect_leaks=1',
    PROPTEST_CASES: '16',
  }
  const skips = Object.keys(impossible).flatMap(name => ['--skip', name])
  const packages = ['codeslab', 'codeslab-link', 'codeslab-runtime', 'codeslab-call', 'codeslab-debug'].flatMap(
    name => ['--package', name],
  )
  run(
    'cargo',
    ['+nightly', 'test', '--target', host, ...packages, '--lib', '--tests', '--no-fail-fast', '--', ...skips],
    { env },
  )
  for (const [name, reason] of Object.entries(impossible)) console.log(`not run there: ${name} (${reason})`)
})

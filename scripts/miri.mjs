// npm run test:miri: tests that need no system, run by Miri, which watches every access: that pointers stay inside of what they
// were made from, that nothing is read before it was written or used after it was freed, that threads do not race. The memory
// manager runs on its fake platform there, whose address space is heap memory, and of the interface for C the table of handles. What calls a
// real system, Miri cannot run.

import { join } from 'node:path'
import { ask, Failure, main, root, tee } from './process.mjs'

const test = (/** @type {string} */ crate) => ['+nightly', 'miri', 'test', '--package', crate, '--lib']

const setup = 'rustup toolchain install nightly --profile minimal --component miri --component rust-src'

/**
 * Carving, values, and what threads share: everything but the fake platform's tests, what asks the real system, and what
 * repeats something tens of thousands of times.
 */
const pure = [
  'fake_tests::',
  'sys::linux::',
  'slab::tests::',
  'tens_of_thousands_of_small_mappings_take_a_few_questions',
  'what_many_threads_add_at_once_comes_out_once_each',
].flatMap(name => ['--skip', name])
/**
 * Of the fake platform's tests, those that end within seconds. The others repeat for each writer and system, until something
 * is full or for each call that can fail, which takes minutes here; `npm test` runs all of them.
 */
const onTheFake = [
  'a_commit_that_fails_gives_back_what_it_wrote_to_the_file',
  'constants_between_code_rule_out_a_writer_whose_code_not_every_thread_can_read',
  'the_first_reservation_has_the_file_that_its_writer_was_probed_with',
  'the_first_writer_that_works_is_chosen_and_a_wish_that_cannot_be_met_is_refused',
  'a_seal_that_is_refused_leaves_no_view_and_no_file',
  'a_cluster_that_threads_extend_at_once_does_not_outgrow_the_reach',
  'while_a_thread_asks_the_system_others_wait_for_what_it_finds',
  'where_a_large_file_is_refused_one_to_measure_does',
  'threads_that_open_blocks_at_once_get_places_of_their_own_within_reach',
  'code_that_nobody_wrote_traps',
  'what_is_freed_and_made_again_is_as_new_and_asks_nothing_of_the_system',
  'what_is_shrunk_gives_its_end_back_and_keeps_its_place',
  'a_part_waits_for_its_grace_period_by_itself',
]

/** Handles: slots that threads fill, lend and free without a lock. */
const handles = ['table::']

await main(async () => {
  if (ask('rustc', ['+nightly', '--version']) === undefined)
    throw new Failure(`there is no nightly toolchain: ${setup}`)
  if (ask('cargo', ['+nightly', 'miri', '--version']) === undefined) throw new Failure(`there is no Miri: ${setup}`)
  for (const crate of ['codeslab', 'codeslab-capi']) {
    const { ok } = await tee('cargo', [...test(crate), '--no-run'], { env: settings('') })
    if (!ok) throw new Failure(`the tests of ${crate} cannot be built for Miri`)
  }
  // Miri runs one thing at a time, so all at once take as long as the longest.
  await Promise.all([
    miri('codeslab', '', pure),
    // The model of borrows looks at every word of a block's bitmaps whenever a reference to them is made: five times the time.
    miri('codeslab', '-Zmiri-disable-stacked-borrows', onTheFake),
    miri('codeslab-capi', '', handles),
  ])
})

/**
 * @param {string} crate
 * @param {string} flags
 * @param {string[]} selection
 */
async function miri(crate, flags, selection) {
  const { ok, output } = await tee('cargo', [...test(crate), '--', ...selection], { env: settings(flags) }, true)
  console.log(output)
  if (!ok) throw new Failure(`Miri found something in ${selection.join(' ')}`)
  const isLost = (/** @type {string} */ name, /** @type {number} */ index) =>
    name !== '--skip' && selection[index - 1] !== '--skip' && !output.includes(name)
  const lost = selection.filter(isLost)
  if (lost.length > 0) throw new Failure(`no test is called ${lost.join(', ')}`)
}

/** @param {string} flags */
function settings(flags) {
  return {
    ...process.env,
    // Elsewhere, everything would be built anew each time.
    CARGO_TARGET_DIR: join(root, 'target', 'miri'),
    // Property tests look for the file of earlier failures, and take from a variable how many cases they try.
    MIRIFLAGS: `-Zmiri-disable-isolation ${flags}`,
    PROPTEST_CASES: '2',
  }
}

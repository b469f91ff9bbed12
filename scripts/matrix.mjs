// npm run test:matrix: what comes from outside of the process, condition by condition, with every writer. The cells themselves are
// programs that `npm test` runs as well (crates/codeslab/tests/it/outside, __test__/helpers/children.ts); this one also runs them under
// settings of the system that take root, restores these, and writes all outcomes into the table of docs/limits.md.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, ask, main, root, run } from './process.mjs'
import { pinnedNode, prepare } from './setup.mjs'

/** @typedef {{ condition: string, writer: string, outcome: string }} Cell */

const writers = ['dual-mapping', 'file-write', 'protect', 'self-mem', 'pkeys']
const lives = 'outside::settings::a_few_mebibytes_are_placed_called_freed_and_go_back_to_the_system'
const mappings = 'outside::limits::a_lack_of_mappings_is_named_and_what_there_is_goes_on'
const fills = 'outside::settings::memory_is_filled_until_it_is_refused_or_there_is_enough'
const document = join(root, 'docs', 'limits.md')
const [begin, end] = ['<!-- begin: npm run test:matrix -->', '<!-- end -->']

await main(() => {
  prepare()
  const cargo = ['test', '--quiet', '--package', 'codeslab', '--test', 'it']
  run('cargo', [...cargo, '--no-run'])
  const program = binary(cargo)
  const cells = [
    ...tests(program, ['outside::limits', 'outside::signals', 'outside::forks']),
    ...children(),
    ...lowered(program),
    ...hugePages(program),
    ...controlGroup(program),
  ]
  const rows = table(cells)
  console.log(`\n${rows}`)
  const text = readFileSync(document, 'utf8')
  const [before, rest = ''] = text.split(begin)
  const [, after] = rest.split(end)
  if (after === undefined) throw new Failure(`${document} has no place for the table`)
  writeFileSync(document, `${before}${begin}\n\n${rows}\n\n${end}${after}`)
  run('npx', ['prettier', '--write', '--log-level', 'warn', document])
  const wrong = cells.filter(({ outcome }) => outcome.startsWith('fails'))
  if (wrong.length > 0) throw new Failure(`${wrong.length} cells fail, see the table`)
})

/**
 * The program of the Rust tests.
 *
 * @param {string[]} cargo
 */
function binary(cargo) {
  const messages = ask('cargo', [...cargo, '--no-run', '--message-format=json']) ?? ''
  for (const line of messages.split('\n').filter(Boolean)) {
    const { executable, target } = JSON.parse(line)
    if (executable && target.name === 'it') return executable
  }
  throw new Failure('cargo does not say where the tests are')
}

/**
 * Runs tests of the program, and reads what they print of cells.
 *
 * @param {string} program
 * @param {string[]} names
 * @param {Record<string, string>} [variables]
 */
function tests(program, names, variables = {}) {
  const args = [...names, '--nocapture', '--test-threads=1']
  return cells(spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, ...variables } }))
}

/** Processes that Node starts. */
function children() {
  const program = join(root, '__test__', 'helpers', 'children.ts')
  return cells(spawnSync(pinnedNode, ['--no-warnings', program], { encoding: 'utf8' }))
}

/**
 * @param {import('node:child_process').SpawnSyncReturns<string>} result
 * @returns {Cell[]}
 */
function cells({ stdout, stderr, status }) {
  const lines = stdout.split('\n').filter(line => line.includes('cell | '))
  if (status !== 0 || lines.length === 0) throw new Failure(`a condition fails:\n${stdout}\n${stderr}`)
  return lines.map(line => {
    const [, condition = '', writer = '', ...outcome] = line.slice(line.indexOf('cell | ')).split(' | ')
    return { condition, writer, outcome: outcome.join(' | ') }
  })
}

/**
 * Does something under a setting of the system and restores it; where it cannot be set, every cell says so.
 *
 * @param {string} path
 * @param {string} value
 * @param {string} condition
 * @param {() => Cell[]} action
 */
function under(path, value, condition, action) {
  const before = existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined
  if (before === undefined) return impossible(condition, `this kernel has no ${path}`)
  const usual = /\[(.+)\]/.exec(before)?.[1] ?? before
  try {
    writeFileSync(path, value)
  } catch (error) {
    return impossible(condition, `it cannot be set: ${error instanceof Error ? error.message : String(error)}`)
  }
  try {
    return action()
  } finally {
    writeFileSync(path, usual)
  }
}

/**
 * @param {string} condition
 * @param {string} reason
 * @returns {Cell[]}
 */
function impossible(condition, reason) {
  return writers.map(writer => ({ condition, writer, outcome: `impossible here: ${reason}` }))
}

/** The most mappings of a process, lowered from outside: not so far that other programs of the machine notice. @param {string} program */
function lowered(program) {
  const condition = '`vm.max_map_count` lowered to 20000, all but 200 in use'
  return under('/proc/sys/vm/max_map_count', '20000', condition, () =>
    tests(program, [mappings]).map(cell => ({ ...cell, condition })),
  )
}

/** Transparent huge pages in every setting. @param {string} program */
function hugePages(program) {
  const settings = Object.entries({
    enabled: ['always', 'madvise', 'never'],
    shmem_enabled: ['always', 'within_size', 'advise', 'never', 'deny', 'force'],
  })
  return settings.flatMap(([setting, values]) =>
    values.flatMap(value => {
      const condition = `\`transparent_hugepage/${setting}\`: \`${value}\``
      return under(`/sys/kernel/mm/transparent_hugepage/${setting}`, value, condition, () =>
        tests(program, ['--exact', lives], { CODESLAB_TEST_CONDITION: condition }),
      )
    }),
  )
}

/** A memory control group of 48 MiB: without a budget, and with one below it. @param {string} program */
function controlGroup(program) {
  const [bare, budget] = ['a memory cgroup of 48 MiB', 'the same, with `maxCommitted` of 24 MiB']
  const group = makeGroup()
  if (typeof group === 'string') return [...impossible(bare, group), ...impossible(budget, group)]
  try {
    return [
      ...filled(program, group.path, bare, {}),
      ...filled(program, group.path, budget, { CODESLAB_TEST_BUDGET_MIB: '24' }),
    ]
  } finally {
    rmdirSync(group.path)
  }
}

/**
 * A control group whose processes have 48 MiB, of either version; or why there is none.
 *
 * @returns {{ path: string } | string}
 */
function makeGroup() {
  const [unified, first] = ['/sys/fs/cgroup', '/sys/fs/cgroup/memory']
  const controllers = join(unified, 'cgroup.controllers')
  const isUnified = existsSync(controllers) && readFileSync(controllers, 'utf8').includes('memory')
  const path = join(isUnified ? unified : first, `codeslab-matrix-${String(process.pid)}`)
  try {
    if (isUnified) writeFileSync(join(unified, 'cgroup.subtree_control'), '+memory')
    mkdirSync(path)
    writeFileSync(join(path, isUnified ? 'memory.max' : 'memory.limit_in_bytes'), String(48 * 2 ** 20))
    return { path }
  } catch (error) {
    return `no control group can be made: ${error instanceof Error ? error.message : String(error)}`
  }
}

/**
 * Fills memory in a control group, with each writer in a process of its own, of which a signal may be the end.
 *
 * @param {string} program
 * @param {string} group
 * @param {string} condition
 * @param {Record<string, string>} variables
 */
function filled(program, group, condition, variables) {
  const available = new Map(tests(program, ['--exact', fills]).map(cell => [cell.writer, cell.outcome]))
  return writers.map(writer => {
    const usual = available.get(writer) ?? ''
    if (usual.startsWith('impossible')) return { condition, writer, outcome: usual }
    const env = {
      ...process.env,
      ...variables,
      CODESLAB_TEST_CHILD: fills,
      CODESLAB_TEST_WRITER: writer,
      CODESLAB_TEST_FILL_MIB: '256',
    }
    const enter = `echo $$ > ${join(group, 'cgroup.procs')} && exec "$@"`
    const args = ['-c', enter, 'sh', program, '--exact', fills, '--nocapture', '--test-threads=1']
    const { signal, stdout } = spawnSync('sh', args, { encoding: 'utf8', env })
    const said = /outcome: (.+)/.exec(stdout)?.[1]
    const killed =
      signal === 'SIGKILL' ? 'the kernel kills the process (SIGKILL)' : `fails: ${String(signal)} ${stdout}`
    return { condition, writer, outcome: said ?? killed }
  })
}

/**
 * The cells as a table: a row for each condition, a column for each writer. What is impossible for one reason everywhere is said once.
 *
 * @param {Cell[]} cells
 */
function table(cells) {
  const conditions = [...new Set(cells.map(({ condition }) => condition))]
  const outcomes = (/** @type {string} */ writer) =>
    new Set(cells.filter(cell => cell.writer === writer).map(cell => cell.outcome))
  const missing = writers.filter(
    writer => outcomes(writer).size === 1 && [...outcomes(writer)][0]?.startsWith('impossible'),
  )
  const shown = writers.filter(writer => !missing.includes(writer))
  const of = (/** @type {string} */ condition, /** @type {string} */ writer) =>
    (cells.find(cell => cell.condition === condition && cell.writer === writer)?.outcome ?? '').replaceAll('|', '\\|')
  const row = (/** @type {string[]} */ texts) => `| ${texts.join(' | ')} |`
  return [
    row(['condition', ...shown.map(writer => `\`${writer}\``)]),
    row(['---', ...shown.map(() => '---')]),
    ...conditions.map(condition => row([condition, ...shown.map(writer => of(condition, writer))])),
    ...missing.map(writer => `\n\`${writer}\` is ${[...outcomes(writer)].join()}`),
  ].join('\n')
}

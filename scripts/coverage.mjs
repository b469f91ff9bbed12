// @ts-nocheck: it runs programs and prints a table; types would say nothing that its output does not.
// Links every archive that this machine has, each in a process of its own, and compares with what `ld` and `dlopen` do with the same
// members. Installs a list of Debian's packages first where that is possible. Writes docs/coverage.md.
//
// npm run coverage                    all of it
// npm run coverage -- --only=libz     archives whose path has this in it; docs/coverage.md stays as it is
// npm run coverage -- --no-install    what is there

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { indexOf } from './coverage/index.mjs'
import { packages } from './coverage/packages.mjs'
import { table } from './coverage/table.mjs'
import { main, root } from './process.mjs'

/** How long one archive may take, in milliseconds. */
const PATIENCE = 60_000

/** Where archives are. */
const PLACES = [
  '/usr/lib/**/*.a',
  '/usr/local/lib/**/*.a',
  `${process.env['HOME'] ?? '/root'}/.rustup/toolchains/*/lib/**/*.rlib`,
]

await main(async () => {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, 'no-install': { type: 'boolean' }, jobs: { type: 'string' } },
  })
  const missing = values['no-install'] ? [] : install()
  const archives = find(values.only ?? '')
  console.log(`${archives.length} archives`)
  const index = indexOf(archives)
  const directory = mkdtempSync(join(tmpdir(), 'coverage-'))
  try {
    const results = await inTurns(archives, Number(values.jobs ?? availableParallelism()), archive =>
      examine(archive, index, directory),
    )
    const text = table(results, missing)
    console.log(text)
    if (values.only === undefined) writeFileSync(join(root, 'docs/coverage.md'), text)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

/** Installs what can be had, and gives the packages that cannot. */
function install() {
  const may = process.getuid?.() === 0 && spawnSync('apt-get', ['--version']).status === 0
  if (!may) return packages
  const isKnown = name => spawnSync('apt-cache', ['show', name], { stdio: 'ignore' }).status === 0
  const known = packages.filter(isKnown)
  const arguments_ = ['install', '-y', '--no-install-recommends']
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const options = { stdio: 'ignore', env: environment }
  if (spawnSync('apt-get', [...arguments_, ...known], options).status === 0) {
    return packages.filter(name => !known.includes(name))
  }
  return packages.filter(name => spawnSync('apt-get', [...arguments_, name], options).status !== 0)
}

/** Every archive once, whatever names it has. */
function find(only) {
  const all = PLACES.flatMap(place => globSync(place))
  const real = new Set(all.filter(path => existsSync(path)).map(path => realpathSync(path)))
  return [...real].filter(path => path.includes(only)).sort()
}

/** Does something for each of many, so many at a time. */
async function inTurns(items, count, work) {
  const results = []
  const waiting = items.entries()
  const worker = async () => {
    for (const [index, item] of waiting) results[index] = await work(item)
  }
  await Promise.all(Array.from({ length: count }, worker))
  return results
}

/** What comes of one archive: alone, with what it needs, and with the system's linker. */
async function examine(archive, index, directory) {
  const alone = await attempt(archive, [], [])
  const complete = alone.outcome === 'undefined' ? await complement(archive, index, alone) : alone
  const reference = await compare(archive, complete.libraries ?? [], complete.loaded ?? [], directory)
  const { outcome, reason, message } = complete
  console.log(`${reference ? ' ' : '*'} ${outcome.padEnd(10)} ${basename(archive)}${reason ? `: ${reason}` : ''}`)
  return { archive, alone: alone.outcome === 'linked', outcome, reason, message, reference }
}

/** Adds libraries for what is missing until nothing is, or nothing helps. */
async function complement(archive, index, first) {
  const [libraries, loaded] = [new Set(), new Set()]
  let last = first
  for (let round = 0; round < 12 && last.outcome === 'undefined'; round++) {
    const before = libraries.size + loaded.size
    for (const symbol of last.missing) {
      const { file, library } = index.find(symbol, dirname(archive))
      if (file !== undefined && file !== archive) libraries.add(file)
      else if (library !== undefined) loaded.add(library)
    }
    if (libraries.size + loaded.size === before) break
    last = await attempt(archive, [...libraries], [...loaded])
  }
  return { ...last, libraries: [...libraries], loaded: [...loaded] }
}

/** Links an archive whole in a process of its own, frees it and ends. */
async function attempt(archive, libraries, loaded) {
  const program = join(root, 'scripts/coverage/link.mjs')
  const { status, signal, output } = await finished(process.execPath, [program, archive, ...libraries, '--', ...loaded])
  if (status === 0 || status === 3) return JSON.parse(output.trim().split('\n').at(-1) ?? '{}')
  const stage = /stage (\w+)\s*$/.exec(output)?.[1] ?? 'start'
  const how = signal === 'SIGKILL' ? 'hangs' : `ends with ${signal ?? status}`
  return { outcome: 'crash', reason: `${how} at ${stage}`, libraries, loaded }
}

/** Whether the system's linker makes a library of the same members that the dynamic linker loads. */
async function compare(archive, libraries, loaded, directory) {
  const stem = join(directory, `${basename(archive)}-${Math.random().toString(36).slice(2)}`)
  const [object, library] = [`${stem}.o`, `${stem}.so`]
  try {
    const whole = ['--whole-archive', archive, '--no-whole-archive', ...libraries]
    const joined = await finished('ld', ['-r', '-o', object, ...whole])
    if (joined.status !== 0) return false
    const named = loaded.map(name => `-l:${name}`)
    const made = await finished('gcc', ['-shared', '-o', library, object, ...libraries, ...named, '-Wl,-z,now'])
    if (made.status !== 0) return false
    const program = join(root, 'scripts/coverage/load.mjs')
    return (await finished(process.execPath, [program, library])).status === 0
  } finally {
    for (const file of [object, library]) rmSync(file, { force: true })
  }
}

/** @returns {Promise<{ status: number | null, signal: string | null, output: string }>} */
function finished(program, args) {
  return new Promise(resolve => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: PATIENCE,
      killSignal: 'SIGKILL',
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', text => (output += text))
    child.on('error', () => resolve({ status: 127, signal: null, output }))
    child.on('close', (status, signal) => resolve({ status, signal, output }))
  })
}

// npm run test:fresh: do the README's two commands work on a machine that has Node, Rust and a C compiler and nothing else?
//
// Makes one of this machine: in a mount namespace of its own, an overlay over /usr from which everything is removed that a
// package adds to what the README asks for. There it copies the checkout, without anything that was installed or built,
// first takes away one tool after the other to see whether the message names it, and then runs the commands. Downloads are
// kept where npm and cargo keep them. Needs Linux, Debian's or Ubuntu's dpkg, and the right to mount (root, or user namespaces).

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { ask, Failure, main, root, run, tee } from './process.mjs'

/** Set for the run inside of the namespace: a folder that goes away afterwards. */
const FOLDER = 'CODESLAB_FRESH'
/** The packages whose headers and archives belong to a C compiler. */
const belongsToCompiler = /^(gcc|cpp|binutils|libgcc|libc6|libc-dev|linux-libc|libcrypt)\b/
/** Programs that are not part of one, or that the README does not ask for. */
const strangers =
  /^(.*g\+\+.*|.*c\+\+.*|clang.*|llvm.*|gdb.*|python.*|pkg-?conf.*|cmake|make|gmake|qemu.*|cargo-nextest|strace|valgrind.*|.*-mingw32-.*|aarch64-linux-gnu-.*)$/
/** What only a package adds, and tests therefore skip, by name. */
const expectedSkips = ['libz.a', 'libzstd.a', 'libgmp.a', 'g++']

await main(async () => {
  const folder = process.env[FOLDER]
  if (folder === undefined) return enterNamespace()
  hidePackages(join(folder, 'overlay'))
  const tree = join(folder, 'tree')
  copyCheckout(tree)
  await missingThingsAreNamed(tree, folder)
  await commandsWork(tree)
  console.log('\nBoth commands work where there is nothing but Node, Rust and a C compiler.')
})

/** Runs this script again where its mounts are nobody else's. */
function enterNamespace() {
  if (ask('dpkg', ['--version']) === undefined) throw new Failure('this needs dpkg, which tells whose a file is')
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-fresh-'))
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']
  try {
    const self = [process.execPath, join(root, 'scripts', 'fresh.mjs')]
    run('unshare', [...user, '--mount', ...self], { env: { ...process.env, [FOLDER]: folder } })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Lays an overlay over /usr and removes from it what the README does not ask for.
 *
 * @param {string} folder
 */
function hidePackages(folder) {
  mkdirSync(folder)
  run('mount', ['-t', 'tmpfs', 'tmpfs', folder])
  const [upper, work] = ['upper', 'work'].map(name => join(folder, name))
  for (const path of [upper, work]) mkdirSync(path ?? '')
  run('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=/usr,upperdir=${upper},workdir=${work}`, '/usr'])
  const gone = [...files('/usr/bin', strangers), ...files('/usr/local/bin', strangers), ...foreignToCompiler()]
  for (const path of gone) rmSync(path, { recursive: true, force: true })
  hideNextest()
  for (const name of ['libz.a', 'libzstd.a', 'libgmp.a']) {
    if (ask('cc', [`-print-file-name=${name}`]) !== name) throw new Failure(`${name} is still there`)
  }
  console.log(`${gone.length} programs, headers and archives are hidden.`)
}

/** Archives and headers that belong to no package of a C compiler's. */
function foreignToCompiler() {
  const triple = ask('cc', ['-dumpmachine']) ?? ''
  const libraries = dirname(ask('cc', ['-print-file-name=libc.a']) ?? '')
  const folders = ['/usr/lib', '/usr/local/lib', join('/usr/lib', triple), libraries, ownFolder()]
  const archives = [...new Set(folders)].flatMap(folder => files(folder, /\.a$/))
  const headers = ['/usr/include', join('/usr/include', triple), '/usr/local/include'].flatMap(folder =>
    files(folder, /./),
  )
  const owners = packages([...archives, ...headers])
  return [...archives, ...headers].filter(path => !owners.get(path)?.some(name => belongsToCompiler.test(name)))
}

/** Where the compiler has its own archives. */
function ownFolder() {
  return dirname(ask('cc', ['-print-libgcc-file-name']) ?? '')
}

/**
 * Which packages a file or folder belongs to.
 *
 * @param {string[]} paths
 */
function packages(paths) {
  // It fails where one of them is no package's, and tells about the others.
  const { stdout } = spawnSync('dpkg-query', ['--search', ...paths], { encoding: 'utf8', maxBuffer: 2 ** 26 })
  /** @type {Map<string, string[]>} */
  const owners = new Map()
  for (const line of stdout.split('\n')) {
    const [names = '', path = ''] = line.split(': ', 2)
    owners.set(path, names.split(', '))
  }
  return owners
}

/** cargo's own folder is not below /usr: nextest is covered there. */
function hideNextest() {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, 'cargo-nextest')
    if (existsSync(path)) run('mount', ['--bind', '/dev/null', path])
  }
}

/**
 * @param {string} folder
 * @param {RegExp} pattern
 */
function files(folder, pattern) {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter(name => pattern.test(name))
    .map(name => join(folder, name))
}

/**
 * What git knows of, or would.
 *
 * @param {string} tree
 */
function copyCheckout(tree) {
  const list = ask('git', ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'])
  if (list === undefined) throw new Failure('this is no checkout: git lists no files')
  for (const path of list.split('\0').filter(name => name !== '' && existsSync(join(root, name)))) {
    mkdirSync(dirname(join(tree, path)), { recursive: true })
    cpSync(join(root, path), join(tree, path))
  }
}

/**
 * Takes one thing away after the other and reads what `npm run demo` says.
 *
 * @param {string} tree
 * @param {string} folder
 */
async function missingThingsAreNamed(tree, folder) {
  const empty = join(folder, 'empty')
  mkdirSync(empty)
  const offline = { npm_config_cache: empty, npm_config_offline: 'true' }
  const all = ['node', 'npm', 'sh', 'env', 'cargo', 'rustc', 'cc', 'ld', 'as', 'ar']
  const without = (/** @type {string} */ name) => ({ PATH: programs(folder, name, all) })
  await fails(tree, without('cargo'), ['Rust is missing', 'rustup.rs'])
  await fails(tree, without('cc'), ['A C compiler is missing', 'apt-get install gcc libc6-dev'])
  await fails(tree, without('ar'), ['The archiver', 'apt-get install binutils'])
  await fails(tree, without('ld'), ['makes no programs', 'apt-get install gcc libc6-dev'])
  await fails(tree, offline, ['the dependencies cannot be installed', 'the npm registry'])
  const noCrates = { CARGO_HOME: empty, CARGO_NET_OFFLINE: 'true' }
  await fails(tree, noCrates, ['the crates cannot be installed', 'crates.io'])
}

/**
 * A folder with these programs, but for one of them.
 *
 * @param {string} folder
 * @param {string} missing
 * @param {string[]} names
 */
function programs(folder, missing, names) {
  const bin = join(folder, `without-${missing}`)
  mkdirSync(bin)
  for (const name of names.filter(name => name !== missing)) {
    const path = ask('sh', ['-c', `command -v ${name}`])
    if (path !== undefined) symlinkSync(path, join(bin, name))
  }
  // The compiler finds its linker beside itself, whatever the path is; so it is told to find none.
  if (missing === 'ld') {
    rmSync(join(bin, 'cc'))
    writeFileSync(join(bin, 'cc'), '#!/bin/sh\nexec /usr/bin/cc -fuse-ld=gold -B/nowhere "$@"\n')
    chmodSync(join(bin, 'cc'), 0o755)
  }
  return bin
}

/**
 * @param {string} tree
 * @param {NodeJS.ProcessEnv} changes
 * @param {string[]} words
 */
async function fails(tree, changes, words) {
  const { ok, output } = await command(tree, ['run', 'demo'], changes)
  if (ok) throw new Failure(`npm run demo worked with ${JSON.stringify(changes)}`)
  const unsaid = words.filter(word => !output.includes(word))
  if (unsaid.length > 0) throw new Failure(`npm run demo does not say: ${unsaid.join(', ')}`)
}

/** @param {string} tree */
async function commandsWork(tree) {
  const demo = await command(tree, ['run', 'demo'])
  if (!demo.ok || !demo.output.includes('Everything was as expected.')) throw new Failure('npm run demo failed')
  const test = await command(tree, ['test'])
  if (!test.ok) throw new Failure('npm test failed')
  const skips = test.output.split('\n').filter(line => line.startsWith('skipped: '))
  const unnamed = expectedSkips.filter(name => !skips.some(line => line.includes(`: ${name} is not installed`)))
  if (unnamed.length > 0) throw new Failure(`tests ran without ${unnamed.join(', ')} and were not skipped`)
  if (!test.output.includes(` 0 failed, ${skips.length} skipped`)) throw new Failure('the skips are not counted')
  const again = await command(tree, ['run', 'demo'])
  const work = /^(Installing|Fetching|Building|Compiling) .*/m.exec(again.output)
  if (!again.ok || work) throw new Failure(`the second npm run demo did work again: ${work?.[0] ?? 'and failed'}`)
}

/**
 * Runs npm in the copy as a user would, who has none of our variables.
 *
 * @param {string} tree
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [changes]
 */
async function command(tree, args, changes = {}) {
  const start = performance.now()
  console.log(`\n$ npm ${args.join(' ')} ${Object.entries(changes).map(([name, value]) => `${name}=${value}`)}`)
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|NODE_|CC$|CODESLAB|LIBRARY_PATH$|CPATH$)/.test(name),
  )
  const PATH = (process.env.PATH ?? '').split(delimiter).filter(folder => basename(folder) !== '.bin')
  const ours = { PATH: PATH.join(delimiter), CARGO_TARGET_DIR: join(root, 'target', 'fresh') }
  const npm = ask('sh', ['-c', 'command -v npm']) ?? 'npm'
  const env = { ...Object.fromEntries(kept), ...ours, ...changes }
  const result = await tee(npm, args, { cwd: tree, env })
  console.log(`took ${Math.round((performance.now() - start) / 1000)} s`)
  return result
}

// LLVM's JIT on codeslab's memory: the adapter is compiled against each LLVM of this machine, without a warning, by gcc and by clang, and run.
//
// npm run test:llvm                          what adapters/llvm/test says, and clang's Interpreter for 200 inputs in a torn address space
// npm run test:llvm -- --inputs=1000 --peers the same for 1,000, and a trace of many objects, with LLVM's own memory managers beside it
// npm run test:llvm -- --release             with the library as it is shipped, for figures
// npm run test:llvm -- start                 how long LLJIT takes to the first call, with that library, on each memory manager; --rounds=201 for more runs
// npm run test:llvm -- tsan                  the tests but for clang's, watched by ThreadSanitizer (or asan: AddressSanitizer), and codeslab, too

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { parseArgs } from 'node:util'
import { sumUp } from './counting.mjs'
import { ask, Failure, main, root } from './process.mjs'

/** The first that has what the adapter needs. */
const OLDEST = 19

const tests = join(root, 'adapters', 'llvm', 'test')

/** @typedef {import('./counting.mjs').Count} Count */
/** @typedef {{ major: number, includes: string, libraries: string }} Llvm */

/** Sanitizers: what compilers are told, and what each program is told. LLVM itself is not compiled for them. */
const sanitizers = {
  tsan: {
    flag: '-fsanitize=thread',
    rust: '--cfg tsan -Zsanitizer=thread',
    build: ['-Zbuild-std'],
    environment: { TSAN_OPTIONS: 'halt_on_error=1' },
  },
  asan: {
    flag: '-fsanitize=address',
    rust: '-Zsanitizer=address',
    build: [],
    environment: { ASAN_OPTIONS: 'detect_leaks=1' },
  },
}

await main(() => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      inputs: { type: 'string', default: '200' },
      peers: { type: 'boolean', default: false },
      release: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '41' },
    },
  })
  const llvms = installed()
  if (llvms.length === 0 || process.platform !== 'linux' || process.arch !== 'x64') {
    sumUp([{ passed: 0, failed: 0, skipped: ['the adapter for LLVM: llvm-19-dev is not installed'] }])
    return
  }
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-llvm-'))
  try {
    const [name] = positionals
    if (name === 'start') {
      const prefix = install(join(folder, 'prefix'), true)
      for (const llvm of llvms)
        console.log(`\nLLVM ${llvm.major}\n${start(llvm, folder, prefix, values.rounds).stdout}`)
      return
    }
    if (name !== undefined) {
      if (name !== 'tsan' && name !== 'asan') throw new Failure(`there is no ${name}: start, tsan or asan`)
      sumUp(watch(llvms, folder, name))
      return
    }
    const prefix = install(join(folder, 'prefix'), values.release)
    sumUp(llvms.map(llvm => test(llvm, folder, prefix, values)))
  } finally {
    rmSync(folder, { recursive: true })
  }
})

/** @returns {Llvm[]} those of this machine, by version */
function installed() {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(folder => existsSync(folder))
  const names = folders.flatMap(folder => readdirSync(folder)).filter(name => /^llvm-config(-\d+)?$/.test(name))
  const found = [...new Set(names)].map(name => {
    const ask = (/** @type {string} */ what) => spawnSync(name, [what], { encoding: 'utf8' }).stdout.trim()
    return { major: Number.parseInt(ask('--version')), includes: ask('--includedir'), libraries: ask('--libdir') }
  })
  const usable = found.filter(
    llvm => llvm.major >= OLDEST && existsSync(join(llvm.includes, 'llvm', 'ExecutionEngine', 'JITLink', 'JITLink.h')),
  )
  return [...new Map(usable.map(llvm => [llvm.major, llvm])).values()].sort((one, other) => one.major - other.major)
}

/**
 * Builds the C library and installs it.
 *
 * @param {string} prefix
 * @param {boolean} isRelease
 */
function install(prefix, isRelease) {
  const build = ['rustc', '--package', 'codeslab-capi', '--lib', '--crate-type', 'staticlib']
  run('cargo', [...build, ...(isRelease ? ['--profile', 'library'] : [])])
  const target = process.env['CARGO_TARGET_DIR'] ?? join(root, 'target')
  const archive = join(target, isRelease ? 'library' : 'debug', 'libcodeslab_capi.a')
  run('sh', [join(root, 'crates', 'codeslab-capi', 'install.sh'), prefix, archive])
  return prefix
}

/**
 * What the test programs say while a sanitizer watches them and codeslab.
 *
 * @param {Llvm[]} llvms
 * @param {string} folder
 * @param {'tsan' | 'asan'} name
 * @returns {Count[]}
 */
function watch(llvms, folder, name) {
  const { flag, rust, build, environment } = sanitizers[name]
  const host = ask('rustc', ['+nightly', '--print', 'host-tuple'])
  if (host === undefined)
    throw new Failure('there is no nightly toolchain: rustup toolchain install nightly --component rust-src')
  const target = join(root, 'target', name)
  const cargo = [
    '+nightly',
    'rustc',
    ...build,
    '--target',
    host,
    '--package',
    'codeslab-capi',
    '--lib',
    '--crate-type',
    'staticlib',
  ]
  run('cargo', cargo, { ...process.env, CARGO_TARGET_DIR: target, RUSTFLAGS: rust })
  const archive = join(target, host, 'debug', 'libcodeslab_capi.a')
  // Rust's compiler calls more than the runtime of gcc has.
  const sysroot = String(ask('rustc', ['+nightly', '--print', 'sysroot']))
  const sanitizer = join(sysroot, 'lib', 'rustlib', host, 'lib', `librustc-nightly_rt.${name}.a`)
  const runtime = ['-Wl,--whole-archive', sanitizer, '-Wl,--no-whole-archive']
  const objects = compileInputs(folder)
  return llvms.map(llvm => {
    console.log(`\nLLVM ${llvm.major}, ${name}`)
    /** @type {Count} */
    const count = { passed: 0, failed: 0, skipped: [] }
    for (const [program, inputs] of programs(objects)) {
      const output = join(folder, `${program}-${llvm.major}-${name}`)
      const includes = ['crates/codeslab-capi/include', 'adapters/llvm/include'].map(path => `-I${join(root, path)}`)
      const flags = [
        '-std=c++17',
        '-O1',
        '-g',
        flag,
        '-fno-rtti',
        '-fno-exceptions',
        ...includes,
        '-isystem',
        llvm.includes,
      ]
      run('g++', [...flags, '-c', join(tests, `${program}.cpp`), '-o', `${output}.o`])
      const libraries = [
        `-L${llvm.libraries}`,
        `-Wl,-rpath,${llvm.libraries}`,
        ...runtime,
        '-lLLVM',
        '-lpthread',
        '-ldl',
        '-lm',
        '-lrt',
      ]
      run('g++', ['-rdynamic', `${output}.o`, archive, '-o', output, ...libraries])
      countLines(count, attempt(output, inputs, { ...process.env, ...environment }))
    }
    return count
  })
}

/**
 * What is linked into the tests.
 *
 * @param {string} folder
 */
function compileInputs(folder) {
  const [linked, pic, low] = ['linked.o', 'pic.o', 'low.o'].map(name => join(folder, name))
  run('g++', ['-O1', '-g', '-fPIE', '-c', join(tests, 'linked.cpp'), '-o', String(linked)])
  run('g++', ['-O1', '-fPIC', '-c', join(tests, 'linked.cpp'), '-o', String(pic)])
  run('gcc', ['-O1', '-fno-pie', '-c', join(tests, 'low.c'), '-o', String(low)])
  return { linked: String(linked), pic: String(pic), low: String(low) }
}

/**
 * The programs that print a line for each behaviour, and their arguments.
 *
 * @param {ReturnType<typeof compileInputs>} objects
 * @returns {[string, string[]][]}
 */
function programs({ linked, pic, low }) {
  return [
    ['memory_manager', [linked, low]],
    ['lljit', [linked]],
    ['runtime_dyld', [pic]],
  ]
}

/**
 * Counts the lines of a program.
 *
 * @param {Count} count
 * @param {ReturnType<typeof attempt>} result
 */
function countLines(count, { status, stdout }) {
  console.log(stdout.trim())
  const begins = (/** @type {string} */ word) => stdout.split('\n').filter(line => line.startsWith(word)).length
  count.passed += begins('ok ')
  count.failed += status === 0 ? 0 : Math.max(begins('FAILED '), 1)
}

/**
 * @param {Llvm} llvm
 * @param {string} folder
 * @param {string} prefix
 * @param {{ inputs: string, peers: boolean, rounds: string }} settings
 * @returns {Count}
 */
function test(llvm, folder, prefix, { inputs, peers, rounds }) {
  /** @type {Count} */
  const count = { passed: 0, failed: 0, skipped: [] }
  console.log(`\nLLVM ${llvm.major}`)
  const tally = (/** @type {string} */ what, /** @type {boolean} */ isGood) => {
    console.log(`${isGood ? 'ok' : 'FAILED'} ${what}`)
    if (isGood) count.passed += 1
    else count.failed += 1
  }
  for (const compiler of ['g++', 'clang++', 'clang++-14'].filter(has)) {
    const headers = ['JITLinkMemoryManager.h', 'RTDyldMemoryManager.h'].flatMap(name => [
      '-include',
      `codeslab/${name}`,
    ])
    const flags = ['-std=c++17', '-fsyntax-only', ...warnings(llvm, prefix), ...headers, '-xc++', '/dev/null']
    tally(`the headers are compiled by ${compiler}`, attempt(compiler, flags).status === 0)
  }
  for (const [name, objects] of programs(compileInputs(folder)))
    countLines(count, attempt(compile(name, llvm, folder, prefix, []), objects))
  const chained = attempt(compile('chained', llvm, folder, prefix, []), ['40'])
  tally(`a chain of objects in an address space that fills\n${chained.stdout.trimEnd()}`, chained.status === 0)
  if (peers) {
    const trace = attempt(compile('trace', llvm, folder, prefix, []), [join(root, 'bench', 'libc.trace'), '20', '5'])
    tally(`the objects of an archive, 20 times over\n${trace.stdout.trimEnd()}`, trace.status === 0)
    const first = start(llvm, folder, prefix, rounds)
    tally(`from the start of a process to the first call\n${first.stdout.trimEnd()}`, first.status === 0)
  }
  if (!existsSync(join(llvm.includes, 'clang', 'Interpreter', 'Interpreter.h'))) {
    count.skipped.push(`clang's Interpreter of LLVM ${llvm.major}: libclang-${llvm.major}-dev is not installed`)
    return count
  }
  const interpreter = compile('interpreter', llvm, folder, prefix, ['-lclang-cpp'])
  const own = attempt(interpreter, ['codeslab', inputs, 'torn'])
  tally(`clang's Interpreter: ${own.stdout.trim()}`, own.status === 0)
  for (const peer of peers ? ['inprocess', 'mapper'] : [])
    console.log(`   beside it: ${attempt(interpreter, [peer, inputs, 'torn']).stdout.trim() || 'it crashed or hung'}`)
  return count
}

/**
 * How long it takes to the first call of a compiled function.
 *
 * @param {Llvm} llvm
 * @param {string} folder
 * @param {string} prefix
 * @param {string} rounds
 */
function start(llvm, folder, prefix, rounds) {
  return attempt(compile('start', llvm, folder, prefix, []), [rounds])
}

/**
 * @param {string} name
 * @param {Llvm} llvm
 * @param {string} folder
 * @param {string} prefix
 * @param {string[]} libraries
 */
function compile(name, llvm, folder, prefix, libraries) {
  const program = join(folder, `${name}-${llvm.major}`)
  const paths = [llvm.libraries, join(prefix, 'lib')].flatMap(path => [`-L${path}`, `-Wl,-rpath,${path}`])
  const flags = ['-std=c++17', '-O2', '-fno-rtti', '-fno-exceptions', '-rdynamic', ...warnings(llvm, prefix)]
  const source = join(tests, `${name}.cpp`)
  run('g++', [...flags, source, '-o', program, ...paths, '-lcodeslab', ...libraries, '-lLLVM', '-lpthread'])
  return program
}

/**
 * @param {Llvm} llvm
 * @param {string} prefix
 */
function warnings(llvm, prefix) {
  return ['-Wall', '-Wextra', '-Werror', `-I${join(prefix, 'include')}`, '-isystem', llvm.includes]
}

/** @param {string} program */
function has(program) {
  return spawnSync(program, ['--version']).status === 0
}

/**
 * @param {string} program
 * @param {string[]} args
 */
function run(program, args, env = process.env) {
  const { status } = spawnSync(program, args, { stdio: 'inherit', cwd: root, env })
  if (status !== 0) throw new Failure(`${program} ${args.join(' ')} failed`)
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 */
function attempt(program, args, env = process.env) {
  const { status, stdout, stderr } = spawnSync(program, [...args], { encoding: 'utf8', timeout: 300_000, env })
  if (status !== 0) console.log(stderr.trim().slice(0, 2000))
  return { status, stdout }
}

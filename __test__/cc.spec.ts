import test from 'ava'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CodeMemory, CodeslabError, type CompilerDiagnostic } from '../index.ts'
import { testWith } from './helpers/exceptions.ts'
import { run } from './helpers/process.ts'
import { eventually } from './helpers/eventually.ts'
import { answer } from './helpers/machine-code.ts'

const memory = new CodeMemory()
const folder = mkdtempSync(join(tmpdir(), 'codeslab-cc-test-'))
test.after.always(() => {
  rmSync(folder, { recursive: true })
})

/** A compiler that takes its time, in seconds. */
function slowCompiler(seconds: number): string {
  const path = join(folder, `slow-${String(seconds)}`)
  writeFileSync(path, `#!/bin/sh\nexec sleep ${String(seconds)}\n`, { mode: 0o755 })
  return path
}

const int32 = { return: 'int32', arguments: ['int32', 'int32'] } as const

testWith('compiler')('C is compiled and linked in one call, and the event loop goes on meanwhile', async t => {
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  const image = await memory.cc({ source: 'int add(int a, int b) { return a + b; }', flags: ['-O3'] })
  clearInterval(timer)
  t.is(image.function('add', int32)(40, 2), 42)
  t.true(ticks > 0, 'timers ran')
  image.free()
})

testWith('compiler')('options of the link serve as they do in link', async t => {
  const { text } = memory.allocate({ text: { protection: 'rx', bytes: answer(7) } }).finalize()
  const source = 'extern int seven(void); extern double cos(double); int f(double x) { return seven() + (int) cos(x); }'
  const image = await memory.cc({ source, externals: { seven: text }, libraries: ['libm.so.6'] })
  t.is(image.function('f', { return: 'int32', arguments: ['double'] })(0), 8)
})

testWith('compiler')(
  'a program that does not compile is an error with files, lines and all that the compiler said',
  async t => {
    const source = 'int add(int a)\n{\n  return a + b;\n}\nint more(void) { return c; }\n'
    const error = await t.throwsAsync<CodeslabError>(memory.cc({ source, name: 'add.c' }))
    t.is(error.code, 'ERR_CODESLAB_COMPILER')
    t.is(error.object, 'add.c')
    t.regex(error.message, /does not compile add\.c: add\.c:3:14: .*b.*\(and 1 more\)/)
    const errors = (error.diagnostics ?? []).filter(({ kind }) => kind === 'error')
    t.like(errors, [
      { kind: 'error', file: 'add.c', line: 3, column: 14 },
      { kind: 'error', file: 'add.c', line: 5 },
    ])
    t.regex(error.output ?? '', /In function 'more'/)
  },
)

testWith('compiler')('warnings are told with their lines, and do not keep a program from being linked', async t => {
  const warnings: CompilerDiagnostic[] = []
  const source = '\nint f(void) { int unused; return 7; }'
  const image = await memory.cc({ source, flags: ['-Wall'], onWarning: warning => warnings.push(warning) })
  t.is(image.function('f', { return: 'int32' })(), 7)
  t.like(warnings, [{ kind: 'warning', file: 'source.c', line: 2 }])
  t.regex(warnings[0]?.message ?? '', /unused/)
})

testWith('compiler')('a file is compiled with its own includes, and a folder serves those of text', async t => {
  writeFileSync(join(folder, 'seven.h'), '#define SEVEN 7\n')
  writeFileSync(join(folder, 'f.c'), '#include "seven.h"\nint f(void) { return SEVEN; }\n')
  const fromFile = await memory.cc({ file: join(folder, 'f.c') })
  t.is(fromFile.function('f', { return: 'int32' })(), 7)
  const source = '#include "seven.h"\nint f(void) { return SEVEN + 1; }'
  const fromText = await memory.cc({ source, directory: folder })
  t.is(fromText.function('f', { return: 'int32' })(), 8)
})

testWith('compiler')('assembler is assembled', async t => {
  const image = await memory.cc({
    source: `.globl f\nf: mov ${process.arch === 'arm64' ? 'w0, #42' : '$42, %eax'}\n ret\n`,
    language: 'assembler',
  })
  t.is(image.function('f', { return: 'int32' })(), 42)
})

testWith('compiler')('without a compiler the error says what was looked for and what to install', t => {
  const { output } = run(
    `
    try {
      await new CodeMemory().cc({ source: 'int x;' })
    } catch (error) {
      report({ ...error, message: error.message })
    }
  `,
    { environment: { PATH: '/nowhere', CC: '' } },
  )
  const { code, message, tried } = JSON.parse(output) as { code: string; message: string; tried: string[] }
  t.is(code, 'ERR_CODESLAB_NO_COMPILER')
  t.deepEqual(tried, ['cc', 'gcc', 'clang'])
  t.regex(message, /apt-get install gcc libc6-dev/)
})

testWith('compiler')('CC names the compiler, with words before it', async t => {
  const { output } = run(
    `
    const image = await new CodeMemory().cc({ source: 'int f(void) { return FROM_CC; }' })
    report(image.function('f', { return: 'int32' })())
  `,
    { environment: { CC: 'env cc -DFROM_CC=9' } },
  )
  t.is(output, '9')
  const error = await t.throwsAsync<CodeslabError>(memory.cc({ source: 'int x;', compiler: 'no-such-compiler' }))
  t.is(error.code, 'ERR_CODESLAB_NO_COMPILER')
  t.regex(error.message, /no-such-compiler \(the option compiler\)/)
})

testWith('compiler')('a signal stops the compiler, and the promise is rejected with its reason', async t => {
  const controller = new AbortController()
  const reason = new Error('enough')
  // A compiler that does not end by itself.
  const compiling = memory.cc({ source: 'int x;', compiler: slowCompiler(600), signal: controller.signal })
  setTimeout(() => {
    controller.abort(reason)
  }, 50)
  t.is(await t.throwsAsync(compiling), reason)
  await t.throwsAsync(memory.cc({ source: 'int x;', signal: AbortSignal.abort(reason) }), { message: 'enough' })
})

/** What compilations have left in a folder. */
const left = (where: string) => readdirSync(where).filter(name => name.startsWith('codeslab-cc'))

testWith('compiler')(
  'nothing stays on the disk, whether it compiled, failed, was stopped, or this process was killed',
  async t => {
    const place = mkdtempSync(join(tmpdir(), 'codeslab-test-'))
    const library = JSON.stringify(new URL('../index.ts', import.meta.url).href)
    const start = (options: string) => {
      const program = `
      import { CodeMemory } from ${library}
      new CodeMemory().cc(${options}).catch(() => undefined)
    `
      const flags = ['--no-warnings', '--input-type=module-typescript', '--eval', program]
      return spawn(process.execPath, flags, {
        env: { ...process.env, NODE_OPTIONS: '', TMPDIR: place },
        stdio: 'ignore',
      })
    }
    const slow = JSON.stringify(slowCompiler(2))
    try {
      for (const options of [
        "{ source: 'int x;' }",
        "{ source: 'int x' }",
        `{ source: 'int x;', signal: AbortSignal.timeout(300), compiler: ${slow} }`,
      ]) {
        await once(start(options), 'exit')
        t.true(await eventually(() => left(place).length === 0), options)
      }
      for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT'] as const) {
        const child = start(`{ source: 'int x;', compiler: ${slow} }`)
        t.true(await eventually(() => left(place).length === 1), 'a folder is there while it compiles')
        const ended = once(child, 'exit')
        child.kill(signal)
        await ended
        t.true(await eventually(() => left(place).length === 0), signal)
      }
    } finally {
      rmSync(place, { recursive: true })
    }
  },
)

testWith('compiler')(
  'what is no program, and flags that make something else than an object, are refused with what to write',
  async t => {
    const any = (value: unknown) => value as never
    const refused = async (options: unknown, ...patterns: RegExp[]) => {
      const error = await t.throwsAsync<Error>(memory.cc(any(options)))
      for (const pattern of patterns) t.regex(error.message, pattern)
    }
    await refused({}, /either source/, /\{\}/)
    await refused({ source: 'int x;', file: 'x.c' }, /either source/)
    await refused({ source: 'lib/add.c' }, /pass the path of one as file/, /lib\/add\.c/)
    await refused({ source: 7 }, /source must be a string/, /7/)
    await refused({ file: 'no/such.c' }, /file must be the path of a file that is there/, /no\/such\.c/)
    await refused({ source: 'int x;', flags: '-O3' }, /flags must be an array of strings/, /-O3/)
    await refused({ source: 'int x;', flags: ['-lm'] }, /libraries: \['libm\.so\.6'\]/)
    await refused({ source: 'int x;', flags: ['-S'] }, /one object of machine code/, /-S/)
    await refused({ source: 'int x;', language: 'rust' }, /language must be 'c' or/, /rust/)
    await refused({ source: 'int x;', flag: ['-O3'] }, /'flag'/, /flags/)
    await refused({ source: 'int x;', signal: 1 }, /signal must be an AbortSignal/)
  },
)

testWith('compiler')('a compiler that says nothing is quoted by its status', async t => {
  const error = await t.throwsAsync<CodeslabError>(memory.cc({ source: 'int x;', compiler: 'false' }))
  t.is(error.code, 'ERR_CODESLAB_COMPILER')
  t.regex(error.message, /ended with 1/)
})

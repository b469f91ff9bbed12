import test from 'ava'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { archive, builtLibrary, compile, compileShared } from './helpers/compile.ts'
import { testWith } from './helpers/exceptions.ts'

const folder = mkdtempSync(join(tmpdir(), 'codeslab-cli-'))
test.after.always(() => {
  rmSync(folder, { recursive: true })
})

const command = join(import.meta.dirname, '..', 'src', 'cli', 'main.ts')

const isCoff = process.platform === 'win32'
/** C's `char` has no sign on 64-bit Arm, but for Apple's systems. */
const charRange =
  process.arch === 'arm64' && process.platform === 'linux'
    ? /from 0 to 255; received 1000 \(ERR_OUT_OF_RANGE\)/
    : /from -128 to 127; received 1000 \(ERR_OUT_OF_RANGE\)/

/** Runs the command in the folder. */
function codeslab(...args: string[]) {
  const env = { ...process.env, NODE_OPTIONS: '', NO_COLOR: '1' }
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', command, ...args], {
    cwd: folder,
    encoding: 'utf8',
    env,
  })
  return { status, stdout, stderr }
}

function file(name: string, bytes: Uint8Array | string): string {
  writeFileSync(join(folder, name), bytes)
  return name
}

const functions = `
#include <stdio.h>
#ifdef _WIN32
#define snprintf _snprintf
#endif
int add(int a, int b) { return a + b; }
double half(double x) { return x / 2; }
float twice(float x) { return x * 2; }
const char *greet(const char *who) { static char text[64]; snprintf(text, 64, "hello, %s", who); return text; }
unsigned long long biggest(void) { return ~0ull; }
int table[4] = { 1, 2, 3, 4 };
int sum(const int *values, int count) { int s = 0; while (count--) s += values[count]; return s; }
int letter(char c) { return c; }
int many(int a, long b, short c, char d, int e, int f, int g, long h) { return a + b + c + d + e + f + g + h; }
void say(const char *text) { printf("said %s\\n", text); }
int crash(int *at) { return *at; }
void *address(void) { return (void *)0x1234; }
`
const object = file('functions.o', compile(functions))
const zlib = file('libz.a', builtLibrary('libz.a'))

const fits = (t: { true: (value: boolean, message?: string) => unknown }, text: string) => {
  for (const line of text.split('\n')) t.true(line.length <= 80, line)
}

test('the help of the command and of its parts fits into 80 columns, says how it ends, and names every option', t => {
  for (const name of ['', 'run', 'inspect', 'layout', 'doctor']) {
    const { status, stdout, stderr } = codeslab(...(name === '' ? [] : [name]), '--help')
    t.is(status, 0)
    t.is(stderr, '')
    t.regex(stdout, /^Usage: codeslab/)
    t.regex(stdout, /Exit status/)
    fits(t, stdout)
    if (name !== '') t.is(codeslab('help', name).stdout, stdout)
  }
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  t.is(codeslab('--version').stdout, `${version}\n`)
})

const calls: readonly (readonly [call: string, printed: string])[] = [
  ['add(40, 2)', '42'],
  ['add(-1, 0x10)', '15'],
  ['double half(5.0)', '2.5'],
  ['double half((double) 5)', '2.5'],
  ['double half(1e3)', '500'],
  ['float twice(1.5f)', '3'],
  ['char * greet("world")', 'hello, world'],
  ['const char *greet("a, \\"b\\" (c)\\x21")', 'hello, a, "b" (c)!'],
  ['unsigned long biggest()', process.platform === 'win32' ? '4294967295' : '18446744073709551615'],
  ['uint64 biggest()', '18446744073709551615'],
  ['int64 biggest()', '-1'],
  ['sum(&table, 4)', '10'],
  ["letter('a')", '97'],
  ["letter('\\n')", '10'],
  ['many(1, 2, 3, 4, 5, 6, 7, -8)', '20'],
  ['pointer address()', '0x1234'],
  ['void * address()', '0x1234'],
  ['add(true, false);', '1'],
]

test('calls are written as in C, and print what they return', t => {
  const { status, stdout, stderr } = codeslab('run', object, ...calls.flatMap(([call]) => ['--call', call]))
  t.is(stderr, '')
  t.is(status, 0)
  t.deepEqual(
    stdout.trimEnd().split('\n'),
    calls.map(([, printed]) => printed),
  )
})

test('what the code prints comes in its place, results are typed, and --json says them for programs', t => {
  const said = codeslab('run', object, '--call', 'void say("one")', '--call', 'add(1, 1)', '--call', 'void say("two")')
  t.is(said.stdout, 'said one\n2\nsaid two\n')
  const typed = codeslab('run', object, '--result', 'double', '--call', 'half(3.0)')
  t.is(typed.stdout, '1.5\n')
  const json = codeslab(
    'run',
    '--json',
    object,
    '-c',
    'uint64 biggest()',
    '-c',
    'double half(1.0)',
    '-c',
    'pointer address()',
  )
  t.deepEqual(JSON.parse(json.stdout), [
    { call: 'uint64 biggest()', type: 'uint64', value: '18446744073709551615' },
    { call: 'double half(1.0)', type: 'double', value: 0.5 },
    { call: 'pointer address()', type: 'pointer', value: '0x1234' },
  ])
})

test('a real archive is run', t => {
  const { status, stdout } = codeslab(
    'run',
    zlib,
    '--call',
    'char * zlibVersion()',
    '--call',
    'uint64 crc32((uint64) 0, "123456789", 9)',
  )
  t.is(status, 0)
  t.regex(stdout, /^1\.\d+[.\d]*\n3421780262\n$/)
})

test('main gets its arguments and the environment, and its result is the status', t => {
  const source = `
    #include <stdio.h>
    #include <stdlib.h>
    int main(int argc, char **argv, char **envp) {
      printf("%d %s %s %s %d\\n", argc, argv[1], argv[2], getenv("NO_COLOR"), envp[0] != 0 && argv[argc] == 0);
      return 7;
    }`
  const { status, stdout } = codeslab('run', file('main.o', compile(source)), '--', 'first', 'second one')
  t.is(stdout, '3 first second one 1 1\n')
  t.is(status, 7)
})

test('code that crashes is told as such, with the signal in the status', t => {
  const { status, stderr } = codeslab('run', object, '--call', 'crash(16)')
  t.is(status, 128 + 11)
  t.regex(stderr, /the code was ended by SIGSEGV\n {2}-> .*types/)
})

test('what is wrong is one line, what to do another, and the status tells mistakes from refusals', t => {
  const shared = file('shared.so', compileShared('int f(void) { return 1; }'))
  const undefinedSymbol = file(
    'undefined.o',
    compile('extern int no_such_function(void); int f(void) { return no_such_function(); }'),
  )
  const rows: readonly (readonly [args: readonly string[], status: number, line: RegExp, next: RegExp])[] = [
    [[], 2, /^codeslab: no command/, /run, inspect, doctor, layout/],
    [['frobnicate'], 2, /there is no command frobnicate/, /--help/],
    [['run'], 2, /^codeslab run: no file/, /FILE\.o/],
    [['run', 'no-such.o'], 2, /cannot read no-such\.o: there is no such file/, /name a file/],
    [['run', '.'], 2, /\. is a folder/, /objects or archives/],
    [['run', object], 2, /functions\.o has no main; its functions are .*add/, /--call '/],
    [['run', object, '--cal', 'f()'], 2, /Unknown option '--cal'/, /--call/],
    [['run', object, '--call', 'add 1'], 2, /--call "add 1" is no call/, /as in C/],
    [['run', object, '--call', 'add(int, int)'], 2, /"int" for an argument/, /'f\(1, 2\.5/],
    [['run', object, '--call', 'add("1)'], 2, /has no end/, /as in C/],
    [
      ['run', object, '--call', 'ad(1, 2)'],
      1,
      /no symbol ad: did you mean add\? \(ERR_CODESLAB_UNKNOWN_SYMBOL\)/,
      /inspect/,
    ],
    [['run', object, '--call', 'letter((char) 1000)'], 1, charRange, /^/],
    [['run', object, '--call', 'number add(1, 2)'], 1, /"number": write "double"/, /--help/],
    [['run', undefinedSymbol, '--call', 'f()'], 1, /undefined symbol no_such_function.*UNDEFINED_SYMBOL/, /--library/],
    [['run', shared, '--call', 'f()'], 1, /shared\.so.*NOT_RELOCATABLE/, /--library/],
    [
      ['run', file('source.c', functions), '--call', 'f()'],
      1,
      /source text: compile it first.*UNKNOWN_FORMAT/,
      /cc -c/,
    ],
    [['layout', object, '--block-size', 'large'], 2, /--block-size large is no number/, /1048576/],
    [['layout', object, '--block-size', '5000'], 1, /INVALID_BLOCK_SIZE/, /^/],
    [['inspect', object, '--external', 'f'], 2, /--external f is no symbol with an address/, /NAME=0x/],
  ]
  for (const [args, status, line, next] of rows) {
    const ended = codeslab(...args)
    const [first = '', ...others] = ended.stderr.trimEnd().split('\n')
    const title = `codeslab ${args.join(' ')}: ${ended.stderr}`
    t.is(ended.status, status, title)
    t.regex(first, line, title)
    if (next.source !== '^') t.regex(others.join('\n'), next, title)
    t.notRegex(ended.stderr, /\n\s+at /, 'no stack')
  }
  const json = codeslab('run', '--json', object, '--call', 'ad(1, 2)')
  t.is(json.status, 1)
  t.like(JSON.parse(json.stdout), { error: { code: 'ERR_CODESLAB_UNKNOWN_SYMBOL' } })
})

test('an object is shown with its sections, symbols and relocations, and what it needs', t => {
  const { status, stdout, stderr } = codeslab('inspect', object)
  t.is(stderr, '')
  t.is(status, 0)
  fits(t, stdout)
  t.regex(stdout, /rx +\d+ +\d+ +\d+ +\.text/)
  t.regex(stdout, /global +function +\d+ +\.text +add\n/)
  t.regex(stdout, isCoff ? /local +- +0 +\.bss +text/ : /local +data +64 +\.bss +text/)
  t.regex(stdout, /\d+ +(R_X86_64_PLT32|R_X86_64_PC32|R_AARCH64_CALL26|R_AARCH64_JUMP26|IMAGE_REL_AMD64_REL32)/)
  t.regex(stdout, /needs \d+ symbols? from elsewhere:/)
  t.regex(stdout, isCoff ? /msvcrt[^ ]* +.*printf/ : /(?:libc|ld-musl)[^ ]* +.*snprintf/)
  t.regex(stdout, /It would link: [\d.]+ (bytes|KiB) of code/)
  const all = codeslab('inspect', '--relocations', object).stdout
  t.regex(all, /0x[0-9a-f]+ +(R_X86_64|R_AARCH64|IMAGE_REL_AMD64)_\w+.* +\.text +\S*printf/)
})

test('an archive gets a line for each member, and --json has all of them', t => {
  const { status, stdout } = codeslab('inspect', zlib)
  t.is(status, 0)
  fits(t, stdout)
  t.regex(stdout, /libz\.a\(\S*crc32\.o\)/)
  const json = JSON.parse(codeslab('inspect', '--json', zlib).stdout) as {
    objects: { name: string; symbols: { name: string }[] }[]
    needs: { symbol: string; from: string }[]
    estimate: { code: number }
  }
  t.true(json.objects.length > 10)
  t.true(json.objects.some(({ symbols }) => symbols.some(({ name }) => name === 'adler32')))
  t.true(json.needs.some(({ symbol, from }) => symbol === 'memcpy' && from === 'process'))
  t.true(json.estimate.code > 20_000)
  t.false(
    json.needs.some(({ symbol }) => symbol === 'adler32'),
    'a member has it',
  )
})

testWith('elf')('what is missing and what cannot be linked is named, object by object, and the status says so', t => {
  const missing = compile('extern int no_such_function(void); int f(void) { return no_such_function(); }')
  const stack = compile(
    'int g(int x) { int h(void) { return x; } int (*p)(void) = h; extern int i(int (*)(void)); return i(p); }',
  )
  const both = file('both.a', archive({ 'missing.o': missing, 'stack.o': stack, 'good.o': compile('int good;') }))
  const first = codeslab('inspect', both)
  t.is(first.status, 1)
  fits(t, first.stdout)
  t.regex(first.stdout, /both\.a\(stack\.o\) {2}refused/)
  t.regex(first.stdout, /1 object cannot be linked:\n.*executable stack/)
  t.regex(first.stdout, /It would not link: .*UNSUPPORTED/s)
  const second = codeslab('inspect', file('missing.o', missing))
  t.is(second.status, 1)
  t.regex(second.stdout, /NOWHERE +no_such_function +for missing\.o/)
  t.regex(second.stdout, /It would not link: undefined symbol no_such_function/)
  const third = codeslab('inspect', 'missing.o', '--external', 'no_such_function=0x1000')
  t.is(third.status, 0)
})

test('a layout is drawn as text in 80 columns, as SVG, and told as JSON', t => {
  const text = codeslab('layout', zlib, object)
  t.is(text.status, 0)
  fits(t, text.stdout)
  t.regex(text.stdout, /rx code .* of .*, 2 spans/)
  t.regex(text.stdout, /0x[0-9a-f]+ {2}libz\.a +[\d.]+ KiB/)
  t.regex(text.stdout, /0x[0-9a-f]+ {2}functions\.o/)
  t.is(codeslab('layout', '--svg', 'memory.svg', zlib, object).stdout, '')
  const svg = readFileSync(join(folder, 'memory.svg'), 'utf8')
  t.regex(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/)
  t.regex(svg, /<title>libz\.a, 0x[0-9a-f]+, [\d.]+ KiB<\/title>/)
  t.is(codeslab('layout', '--svg', object).stdout.slice(0, 4), '<svg')
  const { blocks } = JSON.parse(codeslab('layout', '--json', object).stdout) as { blocks: { address: string }[] }
  t.regex(blocks[0]?.address ?? '', /^0x/)
})

test('the doctor says what works, why the rest does not, and what to do', t => {
  const { status, stdout } = codeslab('doctor')
  t.is(status, 0, stdout)
  fits(t, stdout)
  for (const name of ['system', 'placing and calling', 'writer dual-mapping', 'writer pkeys', 'calls', 'C compiler']) {
    t.regex(stdout, new RegExp(`^(ok|--|NO) {2}${name} `, 'm'))
  }
  t.regex(stdout, /gave 42/)
  const checks = JSON.parse(codeslab('doctor', '--json').stdout) as { name: string; works: string; next?: string }[]
  for (const { works, next } of checks)
    t.is(next === undefined, works === 'yes', 'what does not work comes with advice')
})

test('the doctor says that calls are not fast, and what to do', t => {
  const env = { ...process.env, NODE_OPTIONS: '', CODESLAB_FAST_CALLS: '0', CC: 'no-such-cc' }
  const { stdout, status } = spawnSync(process.execPath, ['--no-warnings', command, 'doctor'], {
    encoding: 'utf8',
    env,
  })
  t.is(status, 0)
  t.regex(stdout, /-- {2}calls +CODESLAB_FAST_CALLS=0.*\n(?:.*\n)?.*-> unset CODESLAB_FAST_CALLS/)
  t.regex(stdout, /-- {2}C compiler +no-such-cc is not installed\n.*-> .*apt-get/)
})

testWith('shell')('a reader that has enough ends the command without a complaint', t => {
  const { stdout, stderr } = spawnSync(
    'sh',
    ['-c', `"$0" --no-warnings "$1" inspect --json libz.a | head -c 10`, process.execPath, command],
    { cwd: folder, encoding: 'utf8' },
  )
  t.is(stdout.length, 10)
  t.is(stderr, '')
})

/** Mistakes that people make, each with what its message must name: what was passed, and what to do instead. */

import test from 'ava'
import { CodeMemory, drawLayout, lookup, type Section } from '../index.ts'
import { compile, compileShared } from './helpers/compile.ts'
import { add, answer, nullary } from './helpers/machine-code.ts'

const memory = new CodeMemory()
const object = compile(
  `int counter = 5; const int limit = 7; int seven(void) { return 7; } int use(char *p) { return *p; }
  int half(int x) { return x / 2; } static int __attribute__((noinline, used)) inner(void) { return 1; }
  int cpp(int x) __asm__("_Z5twicei"); int cpp(int x) { return x; }
  long method(long x) __asm__("_ZN2ns6thriceEl"); long method(long x) { return x; }`,
)
const image = memory.link(object)
const { letter } = memory.publish({ letter: { protection: 'ro', bytes: Uint8Array.of(1) } })
const any = (value: unknown) => value as never
/** TypeScript knows that a section in flight cannot be called; JavaScript does not. */
const callable = (section: unknown) => section as Section

const seven = image.function('seven', { return: 'int32' })
const half = image.function('half', { return: 'int32', arguments: ['int32'] })
const use = image.function('use', { return: 'int32', arguments: ['pointer'] })

/** What is placed anew for each mistake. */
const inFlight = () => memory.allocate({ text: { protection: 'rx', size: 16 }, state: { protection: 'rw', size: 16 } })
const placed = () =>
  memory
    .allocate({
      text: { protection: 'rx', bytes: answer(7) },
      state: { protection: 'rw', size: 16 },
      table: { protection: 'ro', size: 16 },
    })
    .finalize()

/** A number in decimal or hexadecimal. */
const has = (number: number) => new RegExp(`\\b(${number}|0x${number.toString(16)})\\b`)

/** Objects of Windows do not say how large a variable is. */
const hasSizes = process.platform !== 'win32'

type Mistake = readonly [what: string, make: () => unknown, ...named: RegExp[]]

const mistakes: readonly Mistake[] = [
  ['no object of options', () => new CodeMemory(any('auto')), /options must be an object/, /'auto'/],
  ['a misspelt option', () => new CodeMemory(any({ blocksize: 4096 })), /'blocksize'/, /blockSize/],
  ['a writer that there is not', () => new CodeMemory({ writer: any('jit') }), /jit/, /dual-mapping/],
  ['a code model that there is not', () => new CodeMemory({ codeModel: any('huge') }), /huge/, /small/],
  ['a block size as text', () => new CodeMemory({ blockSize: any('16M') }), /blockSize must be a number/, /'16M'/],
  ['a block size that is no power of two', () => new CodeMemory({ blockSize: 5000 }), /5000|0x1388/, /power of two/],
  ['a limit below zero', () => new CodeMemory({ maxCommitted: -1 }), /maxCommitted must be/, /-1/],
  ['a quarantine of yes', () => new CodeMemory({ quarantine: any(true) }), /true/, /intact/],
  ['a token that is none', () => CodeMemory.open('memory'), /"memory"/],
  ['a memory for a token', () => CodeMemory.open(any(memory)), /token must be a string/],

  ['no sections', () => memory.allocate(any(undefined)), /sections must be an object/, /undefined/],
  ['an array of sections', () => memory.allocate(any([{ protection: 'rx', size: 1 }])), /sections must be an object/],
  ['a size for a section', () => memory.allocate({ text: any(64) }), /section text must be an object/, /64/],
  ['rwx', () => memory.allocate({ text: { protection: any('rwx'), size: 1 } }), /'rwx'/, /'rx' or 'ro' or 'rw'/],
  ['no protection', () => memory.allocate({ text: any({ size: 1 }) }), /protection of section text/, /'rx'/],
  ['a misspelt property', () => memory.allocate({ text: any({ protection: 'rx', length: 1 }) }), /'length'/, /size/],
  ['bytes as an array', () => memory.allocate({ text: { protection: 'rx', bytes: any([0xc3]) } }), /Uint8Array\.from/],
  ['bytes as text', () => memory.allocate({ text: { protection: 'rx', bytes: any('ret') } }), /'ret'/, /Buffer\.from/],
  ['a section for bytes', () => memory.allocate({ text: { protection: 'rx', bytes: any(placed().text) } }), /read\(\)/],
  [
    'the properties of a section in the place of sections',
    () => memory.allocate(any({ protection: 'rx', size: 64 })),
    /sections have names/,
    /\{ text: \{ protection, size \} \}/,
    /'rx'/,
  ],
  ['no size', () => memory.allocate({ text: { protection: 'rx' } }), /size of section text must be a number/],
  ['a size of zero', () => memory.allocate({ text: { protection: 'rx', size: 0 } }), /size of section text/, /0$/],
  ['a fractional size', () => memory.allocate({ text: { protection: 'rx', size: 1.5 } }), /whole number/, /1\.5/],
  ['a bigint for a size', () => memory.allocate({ text: { protection: 'rx', size: any(16n) } }), /a number/, /16n/],
  [
    'an alignment of three',
    () => memory.allocate({ text: { protection: 'rx', size: 1, align: 3 } }),
    /0x3/,
    /power of two/,
  ],
  ['a section named free', () => memory.allocate({ free: { protection: 'rx', size: 1 } }), /named free/],
  ['too many bytes', () => memory.allocate({ text: { protection: 'rx', size: 1, bytes: add } }), has(add.length), /1/],
  [
    'a misspelt placement',
    () => memory.allocate({ text: { protection: 'rx', size: 1 } }, any({ close: 1n })),
    /'close'/,
    /near/,
  ],
  ['near an image', () => memory.allocate({ text: { protection: 'rx', size: 1 } }, { near: any(image) }), /near/],
  [
    'near a negative number',
    () => memory.allocate({ text: { protection: 'rx', size: 1 } }, { near: -1 }),
    /near/,
    /-1/,
  ],
  [
    'a window upside down',
    () => memory.allocate({ text: { protection: 'rx', size: 1 } }, { within: [{ first: 2, last: 1 }] }),
    /within\[0\]\.last/,
    /0x1/,
  ],
  [
    'windows that are none',
    () => memory.allocate({ text: { protection: 'rx', size: 1 } }, { within: any({ first: 0, last: 1 }) }),
    /within must be an array/,
  ],

  [
    'writing behind the end',
    () => {
      inFlight().text.write(add, 14)
    },
    has(add.length),
    /14|0xe/,
    /16|0x10/,
  ],
  [
    'writing at half a byte',
    () => {
      inFlight().text.write(add, 0.5)
    },
    /offset must be a whole number/,
    /0\.5/,
  ],
  [
    'writing text',
    () => {
      inFlight().text.write(any('ret'))
    },
    /bytes must be/,
    /Buffer\.from/,
  ],
  [
    'growing by shrinking',
    () => {
      inFlight().text.shrink(64)
    },
    /64|0x40/,
    /16|0x10/,
  ],
  [
    'writing after finalize',
    () => {
      const one = inFlight()
      one.finalize()
      one.text.write(add)
    },
    /finalized/,
    /before finalize\(\)/,
    /'rw' section/,
    /memory\.slot/,
  ],
  [
    'calling before finalize',
    () => callable(inFlight().text).function(nullary),
    /in flight/,
    /publish it with finalize\(\)/,
    /finalize\(\)\.text\.function\(signature\)/,
  ],
  [
    'finalizing twice',
    () => {
      const one = inFlight()
      one.finalize()
      one.finalize()
    },
    /finalized/,
  ],
  [
    'using what was abandoned',
    () => {
      const one = inFlight()
      one.abandon()
      one.finalize()
    },
    /abandoned/,
    /allocate again/,
  ],
  [
    'finalizing what is none',
    () => memory.finalizeAll(any([{}])),
    /batch\[0\] must be an allocation in flight/,
    /\{\}/,
  ],
  [
    'one twice in a batch',
    () => {
      const one = inFlight()
      memory.finalizeAll([one, one])
    },
    /batch\[1\]/,
    /once/,
  ],
  ['a batch that is none', () => memory.finalizeAll(any(inFlight())), /batch must be an array/],

  ['calling data', () => placed().state.function({}), /state/, /rw/],
  ['calling behind the end', () => placed().text.function({}, 99), /99/, has(answer(7).length)],
  [
    'a signature as text',
    () => placed().text.function(any('int (int)')),
    /signature must be an object/,
    /'int \(int\)'/,
  ],
  ['a misspelt signature', () => placed().text.function(any({ returns: 'int32' })), /'returns'/, /return/],
  ['one type for all', () => placed().text.function({ arguments: any('int32') }), /array of types/, /int32/],
  ['char* without its space', () => placed().text.function({ return: any('char*') }), /"char\*"/, /write "char \*"/],
  ['C for an integer', () => placed().text.function({ return: any('unsigned long') }), /write "ulong"/],
  [
    'a type of stdint.h',
    () => placed().text.function({ arguments: any(['uint32_t']) }),
    /argument 1/,
    /write "uint32"/,
  ],
  ['a pointer as in C', () => placed().text.function({ arguments: any(['int *']) }), /"int \*"/, /write "pointer"/],
  ['a type of JavaScript', () => placed().text.function({ arguments: any(['number']) }), /write "double"/],
  ['a type in capitals', () => placed().text.function({ return: any('INT32') }), /write "int32"/],
  ['a type that there is not', () => placed().text.function({ return: any('integer') }), /integer/],
  [
    'freeing twice',
    () => {
      const one = placed()
      one.free()
      one.free()
    },
    /allocation has been freed/,
  ],
  [
    'calling what was freed',
    () => {
      const one = placed()
      const call = one.text.function(nullary)
      one.free()
      call()
    },
    /freed/,
  ],

  ['too many arguments', () => (seven as unknown as typeof half)(1), /seven takes 0 arguments, not 1/],
  ['a bigint for an int', () => half(any(1n)), /argument 1 of half/, /from -2147483648/, /received 1n/],
  ['text for an int', () => half(any('1')), /argument 1 of half/, /received "1"/],
  ['a boolean for an int', () => half(any(true)), /a boolean; pass 0 or 1/],
  ['a fraction for an int', () => half(0.5), /an integer/, /received 0\.5/],
  ['a section for a pointer', () => use(any(placed().state)), /section\.address/],
  ['an image for a pointer', () => use(any(image)), /image\.address\(name\)/],
  ['a JavaScript function for a pointer', () => use(any(() => 0)), /memory\.callback\(signature, function\)/],
  ['a number for a pointer', () => use(any(4096)), /a bigint/, /received 4096/],
  ['an array for a pointer', () => use(any([1, 2])), /an ArrayBuffer or a view of one/, /received an object/],

  ['reading code', () => placed().text.read(), /section text/, /rx/, /'rw'/],
  [
    'writing constants',
    () => {
      placed().table.write(add)
    },
    /section table is constant/,
    /'rw'/,
  ],
  ['a view of constants', () => placed().table.view(), /section table is constant/, /'rw'/],
  ['reading behind the end', () => placed().state.read(8, 9), /9 bytes at offset 8/, /section state/, /16 bytes/],
  ['a length below zero', () => placed().state.read(0, -1), /length must be/, /-1/],
  ['a variable of no type', () => image.data('counter', any('int')), /'int'/, /int32/],
  ...(hasSizes
    ? ([['a variable that is too small', () => image.data('counter', 'int64'), /int64, 8 bytes/, /4 bytes/]] as const)
    : []),
  ['a variable that is code', () => image.data('seven', 'int32'), /symbol seven is not data/, /rx/],
  ['a variable that there is not', () => image.data('count', 'int32'), /count/],
  [
    'setting a constant',
    () => {
      image.data('limit', 'int32').value = 8
    },
    /symbol limit is constant/,
  ],
  [
    'a number that does not fit',
    () => {
      image.data('counter', 'int32').value = 2 ** 31
    },
    /from -2147483648 to 2147483647/,
    /2147483648/,
  ],
  [
    'text for a number',
    () => {
      image.data('counter', 'int32').value = any('8')
    },
    /whole number/,
    /'8'/,
  ],
  [
    'an index behind the end',
    () => image.data('counter', 'int32').get(image.data('counter', 'int32').length),
    /index \d+/,
    /symbol counter/,
  ],

  ['a path for an input', () => memory.link(any('libz.a')), /'libz\.a'/, /readFileSync/],
  ['an image for an input', () => memory.link(any(image)), /libraries/],
  ['an array of numbers for an input', () => memory.link(any({ bytes: [1, 2, 3] })), /Uint8Array\.from/],
  ['an input without bytes', () => memory.link(any({ name: 'a.o' })), /bytes/, /a\.o/],
  ['noise for an input', () => memory.link({ name: 'noise.o', bytes: Buffer.from('noise') }), /noise\.o/],
  [
    'nothing for an input',
    () => memory.link({ name: 'empty.o', bytes: Buffer.of() }),
    /empty\.o/,
    /empty: nothing was read/,
  ],
  [
    'C for an input',
    () => memory.link({ name: 'add.c', bytes: Buffer.from('int add(int a, int b) { return a + b; }\n') }),
    /add\.c/,
    /source text: compile it first/,
    /cc -c/,
  ],
  [
    'assembler for an input',
    () => memory.link(Buffer.from('.globl f\nf:\n  ret\n')),
    /assembler text: assemble it first/,
  ],
  [
    'a script that places sections for an input',
    () => memory.link({ name: 'layout.ld', bytes: Buffer.from('SECTIONS { .text : { *(.text) } }') }),
    /layout\.ld/,
    /INPUT/,
  ],
  [
    'an object of Windows for an input',
    () => memory.link(Buffer.of(0x64, 0x86, 2, 0)),
    /Windows/,
    /compile for this machine/,
  ],
  ['WebAssembly for an input', () => memory.link(Buffer.from('\0asm\x01\0\0\0', 'latin1')), /WebAssembly/],
  ['machine code for an input', () => memory.link(Buffer.from(answer(7))), /machine code/, /allocate/],
  [
    'a shared library for an input',
    () => memory.link({ name: 'lib.so', bytes: compileShared('int f(void) { return 1; }') }),
    /lib\.so/,
    hasSizes ? /shared object.*`libraries`/ : /shared library, not a relocatable object/,
  ],
  ['a misspelt root', () => memory.link(object, { roots: ['sevn'] }), /sevn/, /did you mean seven\?/],
  ['a misspelt option of a link', () => memory.link(object, any({ external: {} })), /'external'/, /externals/],
  ['roots that are one', () => memory.link(object, { roots: any('seven') }), /roots must be an array/, /'seven'/],
  ['externals that are text', () => memory.link(object, { externals: any('abs') }), /externals must be an object/],
  [
    'an external that is text',
    () => memory.link(object, { externals: { abs: any('abs') } }),
    /external abs/,
    /'abs'/,
    /bigint/,
  ],
  [
    'an external that is a JavaScript function',
    () => memory.link(object, { externals: { abs: any(() => 0) } }),
    /external abs/,
    /pointer/,
  ],
  [
    'a symbol that is defined nowhere',
    () => memory.link(compile('extern int nowhere(void); int f(void) { return nowhere(); }')),
    /nowhere/,
  ],
  ['a symbol that is defined twice', () => memory.link([object, object]), /counter|seven|limit|use/],

  ['a function that there is not', () => image.function('six', nullary), /six/, /image\.symbols\(\) lists all/],
  ['a misspelt function', () => image.function('seve', nullary), /no symbol seve: did you mean seven\?/],
  ['another case', () => image.function('Seven', nullary), /did you mean seven\?/],
  ['a misspelt variable', () => image.data('conter', 'int32'), /did you mean counter\?/],
  ['a misspelt address', () => image.address('limits'), /did you mean limit\?/],
  ['a function that is static', () => image.function('inner', nullary), /local to/, /without `static`/],
  ['a function of C++', () => image.function('twice(int)', nullary), /ask for _Z5twicei/, /extern "C"/],
  ['a method of C++', () => image.function('ns::thrice', nullary), /ask for _ZN2ns6thriceEl/],
  ['calling a variable', () => image.function('counter', nullary), /counter/, /rw/],
  ['a name that is none', () => image.function(any(7), nullary), /name must be a string/, /7/],
  ['an address that is text', () => memory.find(any('0x1000')), /address must be/, /'0x1000'/],
  ['an image for an address', () => memory.find(any(image)), /image\.address\('name'\)/],
  ['an object with an address', () => memory.find(any({ address: 1n })), /section/],
  ['too large an address', () => memory.find(2n ** 64n), /2n \*\* 64n - 1n/, /18446744073709551616n/],
  [
    'a period that is none',
    () => {
      memory.endGracePeriod(any(1))
    },
    /period must be a bigint/,
    /1/,
  ],
  [
    'a period that has not begun',
    () => {
      memory.endGracePeriod(2n ** 40n)
    },
    /beginGracePeriod/,
  ],

  ['a slot that leads to nothing', () => memory.slot(any(undefined)), /target must be/, /section/, /undefined/],
  ['a slot that leads to an image', () => memory.slot(any(image)), /image\.address\('name'\)/],
  ['a slot that leads to a JavaScript function', () => memory.slot(any(() => 0)), /pointer/],
  ['reading what is not mapped', () => memory.readAt(16n, 8), /0x10/, /8 bytes/],
  ['a string that is none', () => memory.stringAt(any('text')), /address must be/, /'text'/],
  ['a string that does not end', () => memory.stringAt(letter, 0), /0 bytes/, /maxLength/],
  ['a symbol that is a number', () => memory.processSymbol(any(1)), /name must be a string/, /1/],
  [
    'using what was disposed of',
    () => {
      const one = new CodeMemory()
      one.dispose()
      one.stats()
    },
    /closed/,
    /new CodeMemory\(\)/,
  ],
  ['looking up text', () => lookup(any('main')), /address must be/, /'main'/],
  ['drawing a memory', () => drawLayout(any(undefined)), /layout must be an object/],
  ['drawing too narrowly', () => drawLayout(memory.layout(), { width: 10 }), /from 40 to/, /10/],
  ['making an image', () => new (image.constructor as new () => unknown)(), /CodeMemory\.link/],
]

test('the list of mistakes is long, and none is there twice', t => {
  t.true(mistakes.length >= (hasSizes ? 129 : 128), String(mistakes.length))
  t.is(new Set(mistakes.map(([what]) => what)).size, mistakes.length)
})

for (const [what, make, ...named] of mistakes) {
  test(`the message says what was wrong and what is right: ${what}`, t => {
    const { message } = t.throws<Error>(make)
    for (const pattern of named) t.regex(message, pattern)
  })
}

test('a handle is not cloned to an empty object', t => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < 22 || (major === 22 && minor < 10)) {
    t.pass('this Node has no way to forbid it')
    return
  }
  for (const handle of [memory, image, placed(), memory.slot(placed().text)]) {
    t.throws(() => structuredClone(handle), { name: 'DataCloneError' }, handle.constructor.name)
  }
})

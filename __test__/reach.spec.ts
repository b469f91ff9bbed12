import { compile, compileFixture } from './helpers/compile.ts'
import { testWith } from './helpers/exceptions.ts'
import { literal } from './helpers/machine-code.ts'
import { run } from './helpers/process.ts'
import { directBranchTo } from './helpers/relocated-code.ts'

const source = `
  #include <stdint.h>
  #include <stdio.h>
  #include <string.h>
  static const int32_t table[] = {3, 1, 4, 1, 5, 9, 2, 6};
  static int32_t total;
  int32_t add_up(int32_t count) {
    for (int32_t i = 0; i < count; i++) total += table[i & 7];
    return total;
  }
  uint64_t length(const char *text) { return strlen(text); }
#ifdef _WIN32
  int32_t has_stderr(void) { return 1; }
#else
  int32_t has_stderr(void) { return stderr != 0; }
#endif
`

/** What code of ELF that is not position-independent refers to in 32 bits: data of Node, functions of libc, constants of its own. */
const fixed = `
  #include <stdio.h>
  #include <stdlib.h>
  #include <string.h>
  extern char **environ;
  long (*volatile kept)(long) = labs;
  FILE **err(void) { return &stderr; }
  FILE **out(void) { return &stdout; }
  char **variables(void) { return environ; }
  long is_kept(void) { return kept == labs; }
  long call_kept(long n) { return kept(n); }
  int (*comparison(void))(const char *, const char *) { return strcmp; }
  int differs(const char *text) { return comparison()(text, "constant"); }
`

const files = {
  'around.o': compileFixture('around.c'),
  'pic.o': compile(source, '-fPIC'),
}

/** How many bits an address has that code reaches which refers to the data of Node, at the bottom of the address space. */
const bits = process.arch === 'arm64' ? 33 : 31

const direct = directBranchTo('add_up')

/** Takes everything that is free around what is there already, inside of the memory as well as outside. */
const filled = `
  const around = new CodeMemory().link(input('around.o'))
  const fill = around.function('fill_around', { return: 'uint64', arguments: ['uint64'] })
  const plainMapping = around.function('plain_mapping', { return: 'uint64', arguments: ['uint64'] })
  const unmap = around.function('unmap', { return: 'int32', arguments: ['uint64', 'uint64'] })

  const memory = new CodeMemory({ blockSize: 2 ** 20 })
  const first = memory.link(input('pic.o'))
  const center = first.address('add_up')
  const distance = address => Number(address > center ? address - center : center - address)
  const filled = Number(fill(center))
  const kept = []
  for (const protection of ['rw', 'rx', 'ro']) {
    for (let size = 2 ** 28; size >= 16; size /= 2) {
      while (!caught(() => kept.push(memory.allocate({ all: { protection, size } }, { near: center })))) {}
    }
  }
  const plainIsFar = distance(plainMapping(2 ** 20)) > 2 ** 31

  /** Adds up, and jumps to the first image with a displacement of 32 bits that no stub can replace. */
  const graph = {
    sections: [{
      name: '.text', protection: 'rx', bytes: ${literal(direct.bytes)}, relocations: ${JSON.stringify(direct.relocations)},
    }],
    symbols: [{ name: 'through', section: '.text' }],
  }
  const externals = { add_up: center }
  const unary = { return: 'int32', arguments: ['int32'] }
`

testWith('room')('linking succeeds where everything around is taken and a plain mmap lands out of reach', t => {
  const program = `
    const results = Array.from({ length: 50 }, () => {
      const image = memory.link(input('pic.o'))
      return image.function('add_up', unary)(8) === 31
        && image.function('length', { return: 'uint64', arguments: ['string'] })('four') === 4n
        && image.function('has_stderr', { return: 'int32' })() === 1
    })
    report({ filled: filled > 2 ** 30, plainIsFar, linked: results.filter(Boolean).length, first: first.function('add_up', unary)(2) })
  `
  const { output, complaints, signal } = run(filled + program, { files })
  t.is(complaints, '')
  t.is(signal, null)
  t.deepEqual(JSON.parse(output), { filled: true, plainIsFar: true, linked: 50, first: 4 })
})

testWith('gap')('the only gap within reach of an external is found, and without one the distance is told', t => {
  const program = `
    const refused = caught(() => memory.link(graph, { externals }))
    let gap = (center + 0x5000_0000n) & ~0x3f_ffffn
    // Windows gives back what was taken as one, so not everywhere.
    for (let tries = 0; tries < 100 && unmap(gap, 2 ** 22) !== 0; tries++) gap += 2n ** 22n
    const image = memory.link(graph, { externals })
    const address = image.address('through')
    report({
      refused: refused.code, symbol: refused.symbol,
      inGap: address >= gap && address < gap + 2n ** 22n, result: image.function('through', unary)(1),
    })
  `
  const { output, complaints, signal } = run(filled + program, { files })
  t.is(complaints, '')
  t.is(signal, null)
  t.deepEqual(JSON.parse(output), {
    ...{ refused: 'ERR_CODESLAB_OUT_OF_REACH', symbol: 'add_up' },
    ...{ inGap: true, result: 3 },
  })
})

testWith('elf')('code that refers to the data of the process directly is placed near it', t => {
  const files = { 'plain.o': compile(source, '-fno-pic', '-mcmodel=small') }
  const program = `
    const image = new CodeMemory().link(input('plain.o'))
    report({
      total: image.function('add_up', { return: 'int32', arguments: ['int32'] })(3),
      length: image.function('length', { return: 'uint64', arguments: ['string'] })('seven'),
      stderr: image.function('has_stderr', { return: 'int32' })(),
      low: image.address('add_up') < 2n ** ${bits}n,
    })
  `
  const { output, complaints } = run(program, { files })
  t.is(complaints, '')
  t.deepEqual(JSON.parse(output), { total: 8, length: '0x5', stderr: 1, low: true })
})

testWith('lowData')(
  'code that is not position-independent links and runs in fresh processes, wherever things are there',
  t => {
    const files = { 'fixed.o': compile(fixed, '-fno-pic', '-mcmodel=small', '-fno-builtin') }
    const program = `
    const memory = new CodeMemory()
    const image = memory.link(input('fixed.o'))
    const address = name => image.function(name, { return: 'pointer' })()
    const number = (name, value) =>
      image.function(name, { return: 'int64', arguments: ['int64'] })(value)
    const differs = image.function('differs', { return: 'int32', arguments: ['string'] })
    report({
      low: image.address('is_kept') < 2n ** ${bits}n && address('comparison') < 2n ** ${bits + 1}n,
      err: address('err') !== 0n && address('out') !== 0n && address('err') !== address('out'),
      variables: address('variables') !== 0n,
      kept: [number('is_kept', 0), number('call_kept', -7)],
      differs: [differs('constant'), differs('different') > 0],
    })
  `
    for (let round = 0; round < 5; round++) {
      const { output, complaints } = run(program, { files })
      t.is(complaints, '')
      t.deepEqual(JSON.parse(output), {
        ...{ low: true, err: true, variables: true },
        ...{ kept: ['0x1', '0x7'], differs: [0, true] },
      })
    }
  },
)

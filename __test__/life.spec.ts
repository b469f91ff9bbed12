import test from 'ava'
import { CodeMemory, CodeslabError } from '../index.ts'
import { compile } from './helpers/compile.ts'
import { testWith } from './helpers/exceptions.ts'
import { run } from './helpers/process.ts'

const memory = new CodeMemory()
const nullary = { return: 'int32' } as const
const unary = { return: 'int32', arguments: ['int32'] } as const

const registers = compile(`
  #include <stdlib.h>
#ifdef _WIN32
  #include <io.h>
  #define write _write
#else
  #include <unistd.h>
#endif
  static void at_exit(void) { write(1, "exit ", 5); }
  __attribute__((constructor)) static void start(void) { write(1, "start ", 6); }
  __attribute__((destructor)) static void end(void) { write(1, "end ", 4); }
  int probe(void) { return atexit(at_exit) == 0 ? 7 : 0; }
`)

const probe = `
  let image = new CodeMemory().link(input('registers.o'))
  let probe = image.function('probe', { return: 'int32' })
  if (probe() !== 7) process.exit(5)
`

const lives = {
  'it is freed': { then: 'image.free()', output: 'start end exit ' },
  'it is collected': {
    then: `
      image = probe = undefined
      for (let i = 0; i < 20; i++) { globalThis.gc(); await new Promise(resolve => setTimeout(resolve, 5)) }`,
    output: 'start end exit ',
  },
  // As after dlopen: what was registered for the exit comes first then. Node may collect before that what nothing needs any more.
  'the process ends': { then: 'Object.assign(globalThis, { image })', output: 'start exit end ' },
  'process.exit is called': { then: 'process.exit(0)', output: 'start exit end ' },
}

for (const [when, { then, output }] of Object.entries(lives)) {
  test(`destructors and exit handlers of an image run once when ${when}`, t => {
    const surroundings = { files: { 'registers.o': registers }, flags: ['--expose-gc'] }
    t.like(run(probe + then, surroundings), { status: 0, signal: null, output, complaints: '' })
  })
}

test('destructors and exit handlers of an image run once when the worker ends that linked it', t => {
  const program = `
    import { Worker } from 'node:worker_threads'
    import { once } from 'node:events'
    const code = \`
      const { parentPort, workerData } = require('node:worker_threads')
      import(workerData.library).then(({ CodeMemory }) => {
        globalThis.image = new CodeMemory().link(workerData.object)
        parentPort.postMessage(image.function('probe', { return: 'int32' })())
      })\`
    const library = new URL('index.ts', process.argv[3] ?? '${new URL('..', import.meta.url).href}').href
    const worker = new Worker(code, { eval: true, workerData: { library, object: input('registers.o') } })
    const ended = once(worker, 'exit')
    const [answer] = await once(worker, 'message')
    await ended
    writeSync(1, 'worker ' + answer + ' ')
  `
  const { status, signal, output } = run(program, { files: { 'registers.o': registers } })
  t.deepEqual({ status, signal, output }, { status: 0, signal: null, output: 'start end exit worker 7 ' })
})

const ways = { 'by itself': '', 'by process.exit': 'process.exit(0)', 'a little later': 'setTimeout(() => {}, 20)' }

for (const [how, then] of Object.entries(ways)) {
  test(`a thread that linked code started may still run when the process ends ${how}`, t => {
    const threads = compile(`
      #include "thread.h"
      static volatile long ticks;
      static thread threads[2];
      static void *loop(void *p) { for (;;) { ticks++; if ((ticks & 0xffff) == 0) thread_rest(); } return p; }
      int probe(void) {
        for (int i = 0; i < 2; i++) thread_start(&threads[i], loop, 0);
        while (!ticks) ;
        return 7;
      }`)
    // Garbage would be freed, and the threads with it.
    const keep = 'Object.assign(globalThis, { image, probe })\n'
    const ending = run(probe + keep + then, { files: { 'registers.o': threads } })
    t.like(ending, { status: 0, signal: null, complaints: '' })
  })
}

test('a constructor has run when link returns', t => {
  const image = memory.link(
    compile(`
      static int ready;
#ifdef _WIN32
      // Nothing is passed to them there.
      __attribute__((constructor)) static void start(void) { ready = 40; }
#else
      __attribute__((constructor)) static void start(int argc, char **argv) { ready = argc > 0 && argv[0] ? 40 : 1; }
#endif
      int probe(int n) { return ready + n; }`),
  )
  t.is(image.function('probe', unary)(2), 42)
  image.free()
})

/** Throws what a C++ compiler would, through a function of the C++ library that Node brings along. */
const throws = `
  #include <string.h>
  void _ZSt20__throw_out_of_rangePKc(const char *);
  static int cleaned;
  static void clean(int *by) { cleaned += *by; }
`

testWith('exceptions')('an exception that leaves a function becomes an error with its type and message', t => {
  const source = `${throws}
    int checked(int n) {
      int by __attribute__((cleanup(clean))) = 1;
      if (n > 3) _ZSt20__throw_out_of_rangePKc("too far");
      return n;
    }
    int cleanups(void) { return cleaned; }`
  const image = memory.link(compile(source, '-fexceptions'))
  const checked = image.function('checked', unary)
  t.is(checked(3), 3)
  const error = t.throws(() => checked(4), { instanceOf: CodeslabError, code: 'ERR_CODESLAB_EXCEPTION' })
  t.like(error, { symbol: 'checked', type: 'std::out_of_range', reason: 'too far' })
  t.is(error.message, 'checked threw std::out_of_range: too far')
  t.is(image.function('cleanups', nullary)(), 2)
  t.is(checked(2), 2, 'it can be called again')
  image.free()
  t.throws(() => checked(1), { code: 'ERR_CODESLAB_FREED' }, 'the call that threw counts as over')
})

testWith('exceptions')('an exception is stopped by calls that compiled JavaScript makes, too', t => {
  const source = `${throws}
    int checked(int n) { if (n > 3) _ZSt20__throw_out_of_rangePKc("too far"); return n; }`
  const image = memory.link(compile(source, '-fexceptions'))
  const checked = image.function('checked', unary)
  let sum = 0
  for (let i = 0; i < 200_000; i++) sum += checked(i & 3)
  t.is(sum, 300_000)
  t.throws(() => checked(4), { code: 'ERR_CODESLAB_EXCEPTION' })
  image.free()
})

testWith('exceptions')('a constructor that throws fails the link and leaves nothing', t => {
  const source = `${throws}
    __attribute__((constructor)) static void start(void) { _ZSt20__throw_out_of_rangePKc("no"); }`
  const before = memory.stats().live
  const error = t.throws(() => memory.link(compile(source, '-fexceptions')), { code: 'ERR_CODESLAB_EXCEPTION' })
  t.like(error, { type: 'std::out_of_range', reason: 'no' })
  t.is(memory.stats().live, before)
})

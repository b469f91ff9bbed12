import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { CodeMemory } from '../index.ts'
import { compile } from './helpers/compile.ts'
import { testWith, threadModels } from './helpers/exceptions.ts'

const unary = { return: 'int32', arguments: ['int32'] } as const
const source = `
  __thread int total = 100;
  static __thread int calls;
  int count(int n) { calls++; total += n * calls; return total; }
`

async function start(): Promise<Worker> {
  const worker = new Worker(new URL('helpers/thread.ts', import.meta.url))
  await once(worker, 'message')
  return worker
}

async function ask(worker: Worker, token: string): Promise<unknown> {
  worker.postMessage(token)
  const [said] = (await once(worker, 'message')) as [unknown]
  return said
}

testWith('elf')(
  'a worker has its own thread-local variables, whether it is older than the image or younger',
  async t => {
    t.timeout(120_000)
    const memory = new CodeMemory()
    const old = await start()
    for (const model of threadModels) {
      const image = memory.link({ name: 'count.o', bytes: compile(source, '-O2', '-fPIC', `-ftls-model=${model}`) })
      const count = image.function('count', unary)
      t.deepEqual([count(1), count(1)], [101, 103], model)
      t.deepEqual(await ask(old, image.share()), [102, 108], model)
      const young = await start()
      t.deepEqual(await ask(young, image.share()), [102, 108], model)
      await young.terminate()
      t.deepEqual(await ask(old, image.share()), [114, 126], model)
      t.is(count(1), 106, model)
      image.free()
    }
    await old.terminate()
    t.is(memory.stats().live, 0)
  },
)

testWith('threadVariables')('thread-local variables of the process are its own', t => {
  const image = new CodeMemory().link({
    name: 'errno.o',
    bytes: compile('extern __thread int errno; int swap(int n) { int was = errno; errno = n; return was; }', '-fPIC'),
  })
  const swap = image.function('swap', unary)
  swap(7)
  t.is(typeof swap(0), 'number')
})

testWith('elf')('a function that is chosen at run time is called by its name, by pointers and in tables', t => {
  const image = new CodeMemory().link({
    name: 'chosen.o',
    bytes: compile(`
      static int one(int n) { return n + 1; }
      static int (*pick(void))(int) { return one; }
      int f(int) __attribute__((ifunc("pick")));
      int (*table)(int) = f;
      int probe(int n) { return f(n) + (table == f) + table(n); }
    `),
  })
  t.is(image.function('f', unary)(3), 4)
  t.is(image.function('probe', unary)(3), 9)
})

testWith('processorNames')('code asks what the processor supports without the library of its compiler', t => {
  const image = new CodeMemory().link({
    name: 'asking.o',
    bytes: compile('int f(int n) { return __builtin_cpu_supports("sse2") ? n : -1; }'),
  })
  t.is(image.function('f', unary)(6), 6)
})

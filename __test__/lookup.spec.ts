import test from 'ava'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { CodeMemory, lookup } from '../index.ts'
import { archive, compile } from './helpers/compile.ts'
import { answer, literal, ret } from './helpers/machine-code.ts'

const hasSizes = process.platform !== 'win32'

const source = `
static int __attribute__((noinline)) helper(int a) { return a * 3 + 1; }
int __attribute__((noinline)) add(int a, int b) { return a + helper(b); }
int counter = 5;
static int hidden = 7;
int read_hidden(void) { return hidden++; }
int (*pointer)(int) = helper;
`

test('an address in linked code is a function, its object and an offset, for local functions and for data as well', t => {
  const memory = new CodeMemory()
  const image = memory.link({ name: 'libm.a', bytes: archive({ 'add.o': compile(source, '-O1') }) })
  const at = image.address('add')
  const found = lookup(at + 2n)
  t.like(found, { origin: 'image', name: 'add', object: 'libm.a(add.o)', address: at, offset: 2, protection: 'rx' })
  // Objects of Windows have no sizes, but tables that say where functions end.
  const size = image.symbols().find(({ name }) => name === 'add')?.size
  t.is((found?.size ?? 0) > 0, true)
  if (hasSizes) t.is(found?.size, size)

  const local = image.data('pointer', 'uint64').value
  t.like(memory.lookup(local), { name: 'helper', object: 'libm.a(add.o)', offset: 0 })
  const size4 = hasSizes ? { size: 4 } : {}
  t.like(lookup(image.address('counter') + 3n), { name: 'counter', offset: 3, ...size4, protection: 'rw' })

  image.free()
  t.is(lookup(at), undefined)
  t.is(memory.lookup(at), undefined)
})

test('every byte of every function is found under its name, and nothing beyond it is', t => {
  const image = new CodeMemory().link(compile(source, '-O1'))
  for (const { name, address } of image.symbols()) {
    const size = lookup(address)?.size ?? 0
    for (let offset = 0; offset < size; offset++) {
      t.like(lookup(address + BigInt(offset)), { name, address, offset, size })
    }
    t.not(lookup(address + BigInt(size))?.name, name)
  }
})

test('what is placed under a name is found by it, and by the name of its section once it can be called', t => {
  const memory = new CodeMemory()
  const place = (name?: string) =>
    memory
      .allocate({ text: { protection: 'rx', bytes: answer(1), ...(name === undefined ? {} : { name }) } })
      .finalize()
  const named = place('answer, pass 2')
  const size = answer(1).length
  t.like(lookup(named.text.address + 5n), { origin: 'placed', name: 'answer, pass 2', offset: 5, size })
  t.is(lookup(named.text)?.object, undefined)

  const unnamed = place()
  t.like(lookup(unnamed.text), { origin: 'placed', offset: 0, protection: 'rx' })
  t.is(lookup(unnamed.text)?.name, undefined)
  unnamed.text.function({ return: 'int32' })
  t.is(lookup(unnamed.text)?.name, 'text')

  const { address } = named.text
  named.free()
  t.is(lookup(address), undefined, 'the handle is kept, and what was freed is not found')
})

test('code that takes the place of what was freed is found under its own name, while the handle of the former is kept', t => {
  const memory = new CodeMemory()
  const place = (name: string) => memory.allocate({ text: { protection: 'rx', bytes: answer(1), name } }).finalize()
  const former = place('former')
  const { address } = former.text
  former.free()
  const next = place('next')
  t.is(next.text.address, address, 'it is used again')
  t.is(lookup(address)?.name, 'next')
  t.true(former.freed)
})

test('a memory knows its own addresses, and the process those of all memories and libraries', t => {
  const [one, other] = [new CodeMemory(), new CodeMemory()]
  const { text } = one.allocate({ text: { protection: 'rx', bytes: answer(1), name: 'mine' } }).finalize()
  t.is(one.lookup(text)?.name, 'mine')
  t.is(other.lookup(text), undefined)
  t.is(lookup(text)?.name, 'mine')

  const abs = one.processSymbol('abs') ?? 0n
  const found = lookup(abs + 1n)
  t.like(found, { origin: 'process', name: 'abs', offset: 1 })
  t.regex(found?.object ?? '', /libc|ld-musl|msvcrt|ucrtbase/)
  t.is(one.lookup(abs), undefined)
  t.is(lookup(16n), undefined)
})

test('a function at an address is called by what is there', t => {
  const memory = new CodeMemory()
  const image = memory.link(compile(source, '-O1'))
  const at = (address: bigint) => memory.functionAt(address, { return: 'int32', arguments: ['int32'] })
  t.is(at(image.address('add')).name, 'add')
  t.is(at(image.data('pointer', 'uint64').value).name, 'helper')
  t.is(at(memory.processSymbol('abs') ?? 0n).name, 'abs')
  t.is(at(image.address('add') + 1n).name, 'add+0x1')
})

test('a worker finds what the main thread has linked, and the other way round', async t => {
  const memory = new CodeMemory()
  const image = memory.link(compile(source, '-O1'))
  const library = JSON.stringify(new URL('../index.ts', import.meta.url).href)
  const program = `
    import { parentPort, workerData } from 'node:worker_threads'
    import { CodeMemory, lookup } from ${library}
    const memory = CodeMemory.open(workerData.token)
    const { text } = memory.allocate({ text: { protection: 'rx', bytes: ${literal(ret)}, name: 'of the worker' } }).finalize()
    parentPort.postMessage({ name: lookup(workerData.address)?.name, own: text.address })
    parentPort.once('message', () => text)
  `
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), {
    workerData: { token: memory.share(), address: image.address('add') },
  })
  const [{ name, own }] = (await once(worker, 'message')) as [{ name: string; own: bigint }]
  t.is(name, 'add')
  t.is(memory.lookup(own)?.name, 'of the worker')
  worker.postMessage('done')
  await once(worker, 'exit')
  t.is(lookup(own), undefined)
})

test('what is no address is refused', t => {
  t.throws(() => lookup('0x1000' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => lookup(-1), { code: 'ERR_OUT_OF_RANGE' })
  const memory = new CodeMemory()
  memory.dispose()
  t.throws(() => memory.lookup(1n), { code: 'ERR_CODESLAB_CLOSED' })
})

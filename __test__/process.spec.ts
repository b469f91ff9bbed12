/** What the process has beyond what was placed: symbols, code and memory at any address. */

import test from 'ava'
import { CodeMemory } from '../index.ts'
import { compile } from './helpers/compile.ts'
import { codeOf } from './helpers/hostile.ts'
import { answer, nullary } from './helpers/machine-code.ts'

const memory = new CodeMemory()

test('a symbol of the process is found and called, and one that it has not is undefined', t => {
  const address = memory.processSymbol(process.platform === 'win32' ? 'GetCurrentProcessId' : 'getpid')
  t.is(typeof address, 'bigint')
  t.is(memory.functionAt(address ?? 0n, nullary)(), process.pid)
  t.is(memory.processSymbol('codeslab has no such symbol'), undefined)
  t.is(
    codeOf(() => memory.processSymbol(7 as never)),
    'ERR_INVALID_ARG_TYPE',
  )
})

test('a function of an address in code of ours keeps it and is freed with it', t => {
  const own = new CodeMemory()
  const allocation = own.allocate({ text: { protection: 'rx', bytes: answer(7) } }).finalize()
  const call = own.functionAt(allocation.text, nullary)
  t.is(call(), 7)
  t.is(own.functionAt(allocation.text.address, nullary)(), 7)
  t.is(call.pointer, allocation.text.address)
  allocation.free()
  t.is(codeOf(call), 'ERR_CODESLAB_FREED')
  t.is(
    codeOf(() => own.functionAt(allocation.text, nullary)),
    'ERR_CODESLAB_FREED',
  )
  t.is(
    codeOf(() => own.functionAt(1n, { return: 'nonsense' as never })),
    'ERR_CODESLAB_INVALID_SIGNATURE',
  )
  for (const address of ['main', {}, null, -1n, 0.5]) {
    t.regex(
      codeOf(() => own.functionAt(address as never, nullary)),
      /^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/,
    )
  }
})

test('a string is read where it is, up to its end and no further than is allowed', t => {
  const long = 'ä'.repeat(5000)
  const image = memory.link(
    compile(`const char empty[] = ""; const char text[] = "text"; const char longer[] = "${long}";
      const char *name(void) { return text; }`),
  )
  t.is(memory.stringAt(image.address('empty')), '')
  t.is(memory.stringAt(image.data('text')), 'text')
  t.is(memory.stringAt(image.function('name', { return: 'pointer' })()), 'text')
  t.is(memory.stringAt(image.address('longer')), long)
  t.is(memory.stringAt(image.address('text'), 4), 'text')
  t.throws(() => memory.stringAt(image.address('text'), 3), {
    code: 'ERR_CODESLAB_OUT_OF_BOUNDS',
    message: /within 3 bytes/,
  })
  t.throws(() => memory.stringAt(image.address('longer'), 9999), { code: 'ERR_CODESLAB_OUT_OF_BOUNDS' })
})

test('memory that is not mapped is an error and no fault', t => {
  const { state } = memory.allocate({ state: { protection: 'rw', bytes: Buffer.from('bytes') } }).finalize()
  t.is(Buffer.from(memory.readAt(state, 5)).toString(), 'bytes')
  t.is(memory.readAt(state, 0).length, 0)
  for (const address of [0n, 16n, 2n ** 64n - 1n, 2n ** 63n]) {
    t.throws(() => memory.readAt(address, 8), { code: 'ERR_CODESLAB_UNMAPPED', message: /nothing is mapped/ })
    t.throws(() => memory.stringAt(address), { code: 'ERR_CODESLAB_UNMAPPED' })
  }
  t.is(
    codeOf(() => memory.readAt(state, -1)),
    'ERR_OUT_OF_RANGE',
  )
  t.is(
    codeOf(() => memory.stringAt('text' as never)),
    'ERR_INVALID_ARG_TYPE',
  )
})

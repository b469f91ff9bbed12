import test from 'ava'
import { CodeMemory } from '../index.ts'
import { compileFixture } from './helpers/compile.ts'
import { run } from './helpers/process.ts'
import { answer, literal } from './helpers/machine-code.ts'

const { writers, sealing } = CodeMemory.capabilities()

test('a memory that is not sealed does not say that it is', t => {
  t.is(new CodeMemory().sealing, undefined)
  t.is(new CodeMemory({ sealed: false }).sealing, undefined)
})

test('what can be sealed here is told, with the reason for what cannot', t => {
  for (const { available, reason } of [sealing.writes, sealing.mappings]) {
    t.is(typeof reason, available ? 'undefined' : 'string')
  }
})

test('writers to private memory cannot be sealed, and say so', t => {
  for (const writer of ['protect', 'self-mem', 'pkeys'] as const) {
    const error = t.throws(() => new CodeMemory({ writer, sealed: true }), { code: 'ERR_CODESLAB_WRITER_UNAVAILABLE' })
    t.like(error, { writer })
  }
})

/**
 * Seals a memory in a process of its own, because what is sealed stays, and tries to get at its code as an attacker could who has
 * its file descriptor and can make system calls.
 */
const attack = (writer: string) => `
  import { closeSync, ftruncateSync, openSync, readdirSync, readlinkSync, writeSync as write } from 'node:fs'
  const around = new CodeMemory({ writer: 'protect' }).link(input('around.o'))
  const unmap = around.function('unmap', { return: 'int32', arguments: ['uint64', 'uint64'] })
  const memory = new CodeMemory({ writer: '${writer}', sealed: true, blockSize: 2 ** 20 })
  const place = () => memory.allocate({ text: { protection: 'rx', bytes: ${literal(answer(7))} } })
  const live = Array.from({ length: 100 }, () => place().finalize())
  const [first] = live
  const paths = readdirSync('/proc/self/fd').map(name => '/proc/self/fd/' + name)
  const path = paths.find(path => caught(() => readlinkSync(path)) === undefined && readlinkSync(path).startsWith('/memfd:codeslab'))
  const file = openSync(path, 'r+')
  const refused = {
    write: memory.sealing.writes ? caught(() => write(file, Uint8Array.of(0), 0, 1, 0))?.code : undefined,
    resize: caught(() => ftruncateSync(file, 0))?.code,
    unmap: unmap(first.text.address & ~0xfffn, 4096) === -1,
  }
  closeSync(file)
  for (let round = 0; round < 1000; round++) {
    live.push(place().finalize())
    live.shift().free()
  }
  const right = live.every(({ text }) => text.function({ return: 'int32' })() === 7)
  report({ sealing: memory.sealing, refused, right })
`

for (const writer of ['dual-mapping', 'file-write'] as const) {
  const status = writers.find(status => status.writer === writer)
  const missing = [status, sealing.mappings, writer === 'dual-mapping' ? sealing.writes : undefined]
  const reason = missing.find(one => one?.available === false)?.reason
  const title = `sealed code is out of reach for others and is still made, called and freed, with the writer ${writer}`
  const tested = reason === undefined ? test : test.skip
  tested(reason === undefined ? title : `${title}: ${reason}`, t => {
    const { output, complaints, signal } = run(attack(writer), { files: { 'around.o': compileFixture('around.c') } })
    const writes = writer === 'dual-mapping'
    t.deepEqual(JSON.parse(output || JSON.stringify({ complaints, signal })), {
      sealing: { writes, mappings: true },
      refused: { ...(writes ? { write: 'EPERM' } : {}), resize: 'EPERM', unmap: true },
      right: true,
    })
  })
}

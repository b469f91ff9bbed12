/** Links that bind to what is in memory already. */

import test from 'ava'
import { CodeMemory } from '../index.ts'
import { compile } from './helpers/compile.ts'
import { codeOf } from './helpers/hostile.ts'
import { answer, nullary } from './helpers/machine-code.ts'
import { run } from './helpers/process.ts'

const base = compile('int counter = 40; int get(void) { return counter; } int hidden(void) { return 1; }')
const user = compile('extern int get(void); int twice(void) { return 2 * get(); }')

test('an image is a library for the next one, and is kept while that is there', t => {
  const memory = new CodeMemory()
  const library = memory.link(base)
  const twice = memory.link(user, { libraries: [library] }).function('twice', nullary)
  t.is(twice(), 80)
  library.data('counter', 'int32').value = 4
  t.is(twice(), 8)
  library.free()
  t.is(
    codeOf(() => library.function('get', nullary)),
    'ERR_CODESLAB_FREED',
  )
  t.is(twice(), 8, 'what it uses is still there')
})

test('libraries are asked in their order, images among archives', t => {
  const memory = new CodeMemory()
  const image = (result: number) => memory.link(compile(`int get(void) { return ${String(result)}; }`))
  const object = { name: 'get.o', bytes: compile('int get(void) { return 5; }') }
  const result = (
    ...libraries: Parameters<typeof memory.link>[1] extends { libraries?: infer L } | undefined ? L[] : never
  ) => memory.link(user, { libraries: libraries.flat() }).function('twice', nullary)()
  t.is(result([image(1), image(2)] as never), 2)
  t.is(result([image(3), object] as never), 6)
})

test('an image stands for its symbol among the externals, and a section or a slot for itself', t => {
  const memory = new CodeMemory()
  const library = memory.link(base)
  t.is(memory.link(user, { externals: { get: library } }).function('twice', nullary)(), 80)
  t.is(
    codeOf(() => memory.link(user, { externals: new Map([['none', library]]) })),
    'ERR_CODESLAB_UNKNOWN_SYMBOL',
  )
  const placed = memory.allocate({ text: { protection: 'rx', bytes: answer(21) } }).finalize()
  const twice = memory.link(user, { externals: { get: placed.text } }).function('twice', nullary)
  placed.free()
  t.is(twice(), 42, 'what it uses is still there')
  t.is(
    codeOf(() => memory.link(user, { externals: { get: placed.text } })),
    'ERR_CODESLAB_FREED',
  )
})

test('what an image bound to goes with it', t => {
  const program = `
    const memory = new CodeMemory()
    const settle = async () => { for (let i = 0; i < 2000 && memory.stats().live > 0; i++) { gc(); await new Promise(r => setTimeout(r, 2)) } }
    let library = memory.link({ name: 'base.o', bytes: input('base.o') })
    let image = memory.link({ name: 'user.o', bytes: input('user.o') }, { libraries: [library] })
    library.free()
    const before = memory.stats().live
    image.free()
    library = image = undefined
    await settle()
    report([before, memory.stats().live])`
  const { output, complaints } = run(program, { flags: ['--expose-gc'], files: { 'base.o': base, 'user.o': user } })
  t.is(output, '[2,0]', complaints)
})

test('an image is no input and no address', t => {
  const memory = new CodeMemory()
  const library = memory.link(base)
  t.throws(() => memory.link(library as never), { code: 'ERR_INVALID_ARG_TYPE', message: /libraries/ })
  t.throws(() => memory.find(library as never), { code: 'ERR_INVALID_ARG_TYPE', message: /image\.address\('name'\)/ })
  const fake = Object.create(Object.getPrototypeOf(library) as object) as typeof library
  t.is(
    codeOf(() => memory.link(user, { libraries: [fake] })),
    'ERR_INVALID_ARG_TYPE',
  )
})

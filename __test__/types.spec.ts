// Values are here for their types.
/* eslint-disable @typescript-eslint/no-unused-vars, @typescript-eslint/no-unnecessary-type-parameters */
import test from 'ava'
import { CodeMemory, type NativeFunction, type Published, type Section, type Signature } from '../index.ts'
import { ret } from './helpers/machine-code.ts'

/** True only if both are the same type. The assertions of this file are made by the compiler. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

const { text } = new CodeMemory().allocate({ text: { protection: 'rx', bytes: ret } }).finalize()

test('the type of a function follows from its signature', t => {
  const mixed = text.function({ return: 'int32', arguments: ['int32', 'double', 'uint64', 'pointer'] })
  const parameters: Same<Parameters<typeof mixed>['length'], 4> = true
  const number: Same<Parameters<typeof mixed>[0], number> = true
  const wide: Same<Parameters<typeof mixed>[2], bigint | number> = true
  const result: Same<ReturnType<typeof mixed>, number> = true
  const pointer: Same<(typeof mixed)['pointer'], bigint> = true
  t.true([parameters, number, wide, result, pointer].every(Boolean))
})

test('64-bit integers and addresses return as bigints, and nothing as undefined', t => {
  const wide = text.function({ return: 'int64' })
  const address = text.function({ return: 'string', arguments: [] })
  const nothing = text.function({ arguments: ['f32'] })
  const empty = text.function({})
  const types: [
    Same<ReturnType<typeof wide>, bigint>,
    Same<ReturnType<typeof address>, bigint>,
    Same<ReturnType<typeof nothing>, undefined>,
    Same<Parameters<typeof nothing>, [number]>,
    Same<Parameters<typeof empty>, []>,
  ] = [true, true, true, true, true]
  t.is(types.length, 5)
})

test('a signature that is only known at run time has the type of any', t => {
  const signature: Signature = { return: 'void' }
  const any: NativeFunction = text.function(signature)
  const result: Same<ReturnType<typeof any>, number | bigint | string | object | null | undefined> = true
  t.true(result)
})

test('sections are properties of the type as well', t => {
  const { code, data, ...rest } = new CodeMemory()
    .allocate({ code: { protection: 'rx', size: 1 }, data: { protection: 'rw', size: 1 } })
    .finalize()
  const sections: [Same<typeof code, Section>, Same<typeof data, Section>] = [true, true]
  // @ts-expect-error There is no such section.
  t.is(rest.other, undefined)
  t.is(sections.length, 2)
})

test('what becomes of a batch has the types of its members', t => {
  const memory = new CodeMemory()
  const place = () => memory.allocate({ code: { protection: 'rx', size: 1 } })
  const data = memory.allocate({ data: { protection: 'rw', size: 1 } })
  const pair = memory.finalizeAll([place(), data])
  const list = memory.finalizeAll(Array.from({ length: 2 }, place))
  const types: [Same<typeof pair, [Published<'code'>, Published<'data'>]>, Same<typeof list, Published<'code'>[]>] = [
    true,
    true,
  ]
  // @ts-expect-error The second has no such section.
  t.is(pair[1].code, undefined)
  t.is(list.length, 2)
  t.deepEqual(types, [true, true])
})

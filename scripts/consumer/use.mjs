// An ES module that uses the installed package.
import assert from 'node:assert/strict'
import { CodeMemory, CodeslabError } from 'codeslab'
import code from './machine-code.cjs'

const add = {
  sections: [
    {
      name: '.text',
      protection: 'rx',
      align: 16,
      bytes: code.add,
    },
  ],
  symbols: [{ name: 'add', section: '.text', offset: 0, size: code.add.length }],
}

const memory = new CodeMemory()
const image = memory.link(add)
const call = image.function('add', { return: 'int32', arguments: ['int32', 'int32'] })
assert.equal(call(40, 2), 42)
assert.equal(call(2147483647, 1), -2147483648)
image.free()
assert.throws(() => call(1, 1), CodeslabError)
assert.equal(memory.stats().live, 0)

// An ES module that uses the installed package.
import assert from 'node:assert/strict'
import { CodeMemory, CodeslabError } from 'codeslab'

const add = {
  sections: [
    {
      name: '.text',
      protection: 'rx',
      align: 16,
      // lea eax, [rdi + rsi]; ret
      bytes: Uint8Array.of(0x8d, 0x04, 0x37, 0xc3),
    },
  ],
  symbols: [{ name: 'add', section: '.text', offset: 0, size: 4 }],
}

const memory = new CodeMemory()
const image = memory.link(add)
const call = image.function('add', { return: 'int32', arguments: ['int32', 'int32'] })
assert.equal(call(40, 2), 42)
assert.equal(call(2147483647, 1), -2147483648)
image.free()
assert.throws(() => call(1, 1), CodeslabError)
assert.equal(memory.stats().live, 0)

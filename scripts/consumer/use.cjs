// A CommonJS module that uses the installed package, and gets the same classes as an ES module would.
const assert = require('node:assert/strict')
const { CodeMemory, CodeslabError } = require('codeslab')
const { answer } = require('./machine-code.cjs')

const memory = new CodeMemory()
const inFlight = memory.allocate({ text: { protection: 'rx', bytes: answer } })
const allocation = inFlight.finalize()
assert.equal(allocation.text.function({ return: 'int32', arguments: [] })(), 42)
allocation.free()
assert.throws(() => memory.allocate({}), CodeslabError)

void import('codeslab').then(module => assert.equal(module.CodeMemory, CodeMemory))

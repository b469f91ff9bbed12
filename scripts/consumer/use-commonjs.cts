// The same typings, for a CommonJS module in TypeScript.
import codeslab = require('codeslab')

const memory: codeslab.CodeMemory = new codeslab.CodeMemory()
const add = memory.link(new Uint8Array()).function('add', { return: 'int32', arguments: ['int32', 'int32'] })
const sum: number = add(40, 2)

export = sum

// LuaJIT: interpreted and compiled Lua, errors that are caught, coroutines, and calls of C by its own foreign functions.

import { Buffer } from 'node:buffer'

const script = `
local ffi = require('ffi')
ffi.cdef('int abs(int); size_t strlen(const char *); typedef struct { double x, y; } point;')
local sum = 0
for i = 1, 1e7 do sum = sum + i % 7 end
local caught, why = pcall(function() error({ code = 42 }) end)
local steps = {}
local generator = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end)
for i = 1, 3 do steps[i] = generator() end
local p = ffi.new('point', 3, 4)
local jitted = require('jit').status()
return table.concat({ sum, tostring(caught), why.code, table.concat(steps, ','), ffi.C.abs(-5), tonumber(ffi.C.strlen('four')),
  math.sqrt(p.x * p.x + p.y * p.y), tostring(jitted), ('%5.2f'):format(math.pi), ('abc'):rep(2):upper() }, ' ')
`

/** @type {import('./toolkit.mjs').Program} */
export const program = {
  title: 'LuaJIT',
  archives: ['libluajit-5.1.a'],
  package: 'libluajit-5.1-dev',
  run({ archive, compile, equal, link }) {
    const image = link([compile('luajit.c', '-I/usr/include/luajit-2.1'), archive('libluajit-5.1.a')], ['libm.so.6'])
    const out = Buffer.alloc(1024)
    const run = image.function('run_script', { return: 'int32', arguments: ['string', 'pointer', 'uint32'] })
    const runs = (/** @type {string} */ text) => {
      const length = run(text, out, out.length)
      return `${length < 0 ? 'failed: ' : ''}${out.toString('latin1', 0, Math.abs(length))}`
    }
    equal(runs(script), '29999997 false 42 1,4,9 5 4 5 true  3.14 ABCABC')
    equal(runs('return 6 * 7'), '42')
    equal(runs('error("as it should", 0)'), 'failed: as it should')
    image.free()
  },
}

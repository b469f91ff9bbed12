// CPython, embedded: modules in C and in Python, exceptions, generators, threads, compression.

import { crc32 } from 'node:zlib'
import { Buffer } from 'node:buffer'
import { existsSync, readdirSync } from 'node:fs'

const script = `
import collections, hashlib, json, math, re, sys, threading, zlib
def fails():
    raise KeyError('caught')
try:
    fails()
except KeyError as error:
    why = str(error)
results = []
threads = [threading.Thread(target=lambda n=n: results.append(sum(range(n)))) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
class Point(collections.namedtuple('Point', 'x y')):
    def length(self): return math.hypot(self.x, self.y)
said = ' '.join(map(str, [why, sum(results), Point(3, 4).length(), json.dumps({'a': [1, 2.5, None]}),
  re.sub(r'(\\\\w+)@(\\\\w+)', r'\\\\2 at \\\\1', 'me@home'), zlib.crc32(zlib.decompress(zlib.compress(b'squeezed' * 50))),
  2 ** 100, sorted({'b', 'a'}), f'{math.pi:.4f}', sys.version_info[0]]))
`.replaceAll('\\\\', '\\')

/** Where Debian keeps the archive, and its headers. */
const version = existsSync('/usr/include')
  ? readdirSync('/usr/include').find(name => /^python3\.\d+$/.test(name))
  : undefined

/** @type {import('./toolkit.mjs').Program} */
export const program = {
  title: 'CPython',
  archives: [`lib${version ?? 'python3'}.a`],
  package: 'libpython3-dev',
  lacks: () => (existsSync(`/usr/lib/${version ?? 'none'}/json`) ? undefined : "CPython's library in Python"),
  run({ archive, compile, equal, link }) {
    const [expat, z, m] = ['libexpat.a', 'libz.a', 'libm.so.6']
    const image = link([compile('python.c', `-I/usr/include/${version}`), archive(`lib${version}.a`)], [expat, z, m])
    const start = image.function('start', { return: 'int32' })
    const run = image.function('run_script', { return: 'int32', arguments: ['string', 'pointer', 'uint32'] })
    const out = Buffer.alloc(1024)
    equal(start(), 0, 'Py_InitializeFromConfig')
    const said = out.toString('utf8', 0, run(script, out, out.length))
    const sum = crc32(Buffer.from('squeezed'.repeat(50)))
    equal(said, `'caught' 56 5.0 {"a": [1, 2.5, null]} home at me ${sum} ${2n ** 100n} ['a', 'b'] 3.1416 3`)
    equal(image.function('stop', { return: 'int32' })(), 0, 'Py_FinalizeEx')
    image.free()
  },
}

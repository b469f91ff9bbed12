// GNU's C++ library: a second one beside that of the process, all of it.

import { Buffer } from 'node:buffer'

const expected = {
  streams: '****42 ff 2.500 true 12 3.500 word 2',
  expressions: '1alpha 22beta 333gamma <alpha>, <beta>; <gamma>',
  exceptions: 'out_of_range stoi outer/inner regex_error No such file or directory',
  threads: '2800 from a thread 7 1',
  locales: '1.234.567 2,5 Q1 C refused 26 Nov 1.791.095.845',
}

/** @type {import('./toolkit.mjs').Program} */
export const program = {
  title: 'libstdc++',
  archives: ['libstdc++.a'],
  package: 'g++',
  run({ archive, compile, equal, link }) {
    const image = link([compile('libstdcxx.cpp', '-std=c++17'), archive('libstdc++.a')], ['libgcc_eh.a', 'libgcc.a'])
    const out = Buffer.alloc(1024)
    for (const [name, text] of Object.entries(expected)) {
      const call = image.function(name, { return: 'int32', arguments: ['pointer', 'uint32'] })
      equal(out.toString('utf8', 0, call(out, out.length)), text, name)
    }
    image.free()
  },
}

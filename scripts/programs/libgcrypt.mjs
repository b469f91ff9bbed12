// libgcrypt: what it computes is what Node's own library computes.

import { createCipheriv, createHash } from 'node:crypto'
import { Buffer } from 'node:buffer'

/** @type {import('./toolkit.mjs').Program} */
export const program = {
  title: 'libgcrypt',
  archives: ['libgcrypt.a', 'libgpg-error.a'],
  package: 'libgcrypt20-dev',
  run({ archive, compile, equal, link }) {
    const image = link([compile('libgcrypt.c'), archive('libgcrypt.a')], ['libgpg-error.a'])
    equal(image.function('start', { return: 'int32' })(), 1, 'start')
    const data = Buffer.from('digested and enciphered '.repeat(300))
    const out = Buffer.alloc(data.length)
    const digest = image.function('digest', { return: 'int32', arguments: ['string', 'pointer', 'uint32', 'pointer'] })
    for (const name of ['md5', 'sha1', 'sha256', 'sha512', 'sha3-384']) {
      const length = digest(name, data, data.length, out)
      equal(out.toString('hex', 0, length), createHash(name).update(data).digest('hex'), name)
    }
    const types = /** @type {const} */ (['pointer', 'pointer', 'pointer', 'uint32', 'pointer'])
    const [key, iv] = [Buffer.alloc(32, 3), Buffer.alloc(16, 4)]
    equal(
      image.function('encrypt', { return: 'int32', arguments: types })(key, iv, data, data.length, out),
      data.length,
    )
    const cipher = createCipheriv('aes-256-ctr', key, iv)
    equal(out.toString('hex'), Buffer.concat([cipher.update(data), cipher.final()]).toString('hex'), 'aes-256-ctr')
    equal(image.function('signs', { return: 'int32' })(), 1, 'it verifies what it signs and nothing else')
    image.free()
  },
}

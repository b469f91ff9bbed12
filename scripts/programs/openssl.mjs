// OpenSSL: what its digests, ciphers and signatures yield is what Node's own OpenSSL yields.

import { createCipheriv, createHash, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { Buffer } from 'node:buffer'

/** @type {import('./toolkit.mjs').Program} */
export const program = {
  title: 'OpenSSL',
  archives: ['libcrypto.a'],
  package: 'libssl-dev',
  run({ archive, compile, equal, link }) {
    const image = link([compile('openssl.c'), archive('libcrypto.a')])
    const data = Buffer.from('what is signed, digested and enciphered '.repeat(97))
    const out = Buffer.alloc(8192)
    const size = /** @type {const} */ (['string', 'pointer', 'uint32', 'pointer'])
    const digest = image.function('digest', { return: 'int32', arguments: size })
    for (const name of ['md5', 'sha1', 'sha256', 'sha512', 'sha3-256', 'blake2b512']) {
      const length = digest(name, data, data.length, out)
      equal(out.toString('hex', 0, length), createHash(name).update(data).digest('hex'), name)
    }
    const types = /** @type {const} */ (['string', 'pointer', 'pointer', 'pointer', 'int32', 'pointer'])
    const encrypt = image.function('encrypt', { return: 'int32', arguments: types })
    for (const [name, bytes] of [
      ['aes-256-cbc', 32],
      ['aes-128-ctr', 16],
      ['chacha20', 32],
    ]) {
      const [key, iv] = [Buffer.alloc(Number(bytes), 7), Buffer.alloc(16, 9)]
      const length = encrypt(String(name), key, iv, data, data.length, out)
      const cipher = createCipheriv(String(name), key, iv)
      const expected = Buffer.concat([cipher.update(data), cipher.final()])
      equal(out.toString('hex', 0, length), expected.toString('hex'), name)
    }
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const privateText = String(privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const publicText = String(publicKey.export({ type: 'spki', format: 'pem' }))
    const makes = image.function('sign', { return: 'int32', arguments: [...size, 'uint32'] })
    const length = makes(privateText, data, data.length, out, out.length)
    equal(verify('sha256', data, publicKey, out.subarray(0, length)), true, 'Node verifies what it signs')
    const checks = image.function('verify', { return: 'int32', arguments: [...size, 'uint32'] })
    const signature = sign('sha256', data, privateKey)
    equal(checks(publicText, data, data.length, signature, signature.length), 1, 'it verifies what Node signs')
    signature[10] = (signature[10] ?? 0) ^ 1
    equal(checks(publicText, data, data.length, signature, signature.length), 0, 'it refuses what was changed')
    const generate = image.function('generate', { return: 'int32', arguments: ['uint32', 'pointer', 'uint32'] })
    const key = createPublicKey(out.toString('latin1', 0, generate(1024, out, out.length)))
    equal(key.asymmetricKeyDetails?.modulusLength, 1024, 'it makes keys')
    image.free()
  },
}

// The archive of files that a kernel starts with: cpio in its "newc" form.
// https://docs.kernel.org/driver-api/early-userspace/buffer-format.html

import { Buffer } from 'node:buffer'

/** @typedef {{ name: string, mode: number, content: Buffer, major: number, minor: number }} Entry */

/**
 * @param {string} name
 * @returns {Entry}
 */
export function directory(name) {
  return { name, mode: 0o040755, content: Buffer.alloc(0), major: 0, minor: 0 }
}

/**
 * @param {string} name
 * @param {Buffer} content
 * @returns {Entry}
 */
export function file(name, content) {
  return { name, mode: 0o100755, content, major: 0, minor: 0 }
}

/**
 * @param {string} name
 * @param {number} major
 * @param {number} minor
 * @returns {Entry}
 */
export function device(name, major, minor) {
  return { name, mode: 0o020666, content: Buffer.alloc(0), major, minor }
}

/** @param {Entry[]} entries */
export function archive(entries) {
  const end = { ...file('TRAILER!!!', Buffer.alloc(0)), mode: 0 }
  return Buffer.concat([...entries, end].map(encode))
}

/**
 * @param {Entry} entry
 * @param {number} index
 */
function encode({ name, mode, content, major, minor }, index) {
  const numbers = [index + 1, mode, 0, 0, 1, 0, content.length, 0, 0, major, minor, name.length + 1, 0]
  const header = numbers.map(number => number.toString(16).padStart(8, '0')).join('')
  return Buffer.concat([padded(Buffer.from(`070701${header}${name}\0`)), padded(content)])
}

/** @param {Buffer} bytes */
function padded(bytes) {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])
}

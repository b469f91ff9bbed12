// The systems that have a package of their own: the one list that building, packing, the release workflow and its tests agree with.

import { Failure } from './process.mjs'

/**
 * A system with a package. Its name is what npm's loader of native modules asks for on an ordinary Node there, so both Windows packages are
 * named after Microsoft's tools, whoever built them: a second name for the same system would have npm install two binaries, since a
 * package.json tells systems, processors and C libraries apart, and not compilers.
 *
 * @typedef {object} Platform
 * @property {string} name of the package, after `codeslab-`
 * @property {string} target what Rust calls what is published
 * @property {string} zig what is built for it on Linux, with zig as the linker; for glibc with the oldest version that Node 20 runs on
 * @property {string} os as Node calls it
 * @property {string} cpu as Node calls it
 * @property {'glibc' | 'musl'} [libc]
 * @property {string} title in sentences
 */

/** @type {readonly Platform[]} */
export const platforms = [
  {
    name: 'linux-x64-gnu',
    target: 'x86_64-unknown-linux-gnu',
    zig: 'x86_64-unknown-linux-gnu.2.28',
    os: 'linux',
    cpu: 'x64',
    libc: 'glibc',
    title: 'Linux on x86-64 with glibc',
  },
  {
    name: 'linux-arm64-gnu',
    target: 'aarch64-unknown-linux-gnu',
    zig: 'aarch64-unknown-linux-gnu.2.28',
    os: 'linux',
    cpu: 'arm64',
    libc: 'glibc',
    title: 'Linux on 64-bit Arm with glibc',
  },
  {
    name: 'linux-x64-musl',
    target: 'x86_64-unknown-linux-musl',
    zig: 'x86_64-unknown-linux-musl',
    os: 'linux',
    cpu: 'x64',
    libc: 'musl',
    title: 'Linux on x86-64 with musl, such as Alpine',
  },
  {
    name: 'linux-arm64-musl',
    target: 'aarch64-unknown-linux-musl',
    zig: 'aarch64-unknown-linux-musl',
    os: 'linux',
    cpu: 'arm64',
    libc: 'musl',
    title: 'Linux on 64-bit Arm with musl, such as Alpine',
  },
  {
    name: 'win32-x64-msvc',
    target: 'x86_64-pc-windows-msvc',
    zig: 'x86_64-pc-windows-gnu',
    os: 'win32',
    cpu: 'x64',
    title: 'Windows on x86-64',
  },
  {
    name: 'win32-arm64-msvc',
    target: 'aarch64-pc-windows-msvc',
    zig: 'aarch64-pc-windows-gnullvm',
    os: 'win32',
    cpu: 'arm64',
    title: 'Windows on 64-bit Arm',
  },
  {
    name: 'darwin-x64',
    target: 'x86_64-apple-darwin',
    zig: 'x86_64-apple-darwin',
    os: 'darwin',
    cpu: 'x64',
    title: 'macOS on x86-64',
  },
  {
    name: 'darwin-arm64',
    target: 'aarch64-apple-darwin',
    zig: 'aarch64-apple-darwin',
    os: 'darwin',
    cpu: 'arm64',
    title: 'macOS on Apple silicon',
  },
]

/**
 * @param {string} name
 * @returns {Platform}
 */
export function platformOf(name) {
  const found = platforms.find(platform => platform.name === name)
  if (!found) throw new Failure(`there is no platform ${name}, but: ${platforms.map(({ name }) => name).join(', ')}`)
  return found
}

/**
 * What the binary of a platform is called.
 *
 * @param {string} name
 */
export function binaryName(name) {
  return `codeslab.${name}.node`
}

/** The platform of the Node that runs this, if it has a package. */
export function thisPlatform() {
  const libc = process.platform === 'linux' ? libcHere() : undefined
  return platforms.find(({ os, cpu, libc: its }) => os === process.platform && cpu === process.arch && its === libc)
}

function libcHere() {
  const { header } = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport())
  return header.glibcVersionRuntime === undefined ? 'musl' : 'glibc'
}

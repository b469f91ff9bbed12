// npm run build:all: the binary of each platform as it is published, in npm/PLATFORM. On Linux all of them are built, with zig as the linker;
// Windows and macOS build their own, with Microsoft's and Apple's tools, as the release workflow does there. Names of platforms choose some.
//
// What cannot be built for want of a tool is skipped, by name; what does not compile fails. Each is packed as well, to tell how large it is.

import { copyFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { sumUp } from './counting.mjs'
import { buildRelease, withOwn, withZig } from './cross.mjs'
import { packPlatform } from './pack.mjs'
import { binaryName, platformOf, platforms } from './platforms.mjs'
import { Failure, main, root } from './process.mjs'

/** @typedef {import('./platforms.mjs').Platform} Platform */
/** @typedef {import('./counting.mjs').Count} Count */

const names = process.argv.slice(2)

await main(() => {
  const chosen = names.length === 0 ? platforms : names.map(platformOf)
  /** @type {string[][]} */
  const sizes = []
  const counts = chosen.map(platform => count(platform, sizes))
  if (sizes.length > 0) console.log('\npackage, bytes as downloaded (.tgz), bytes of the binary')
  for (const [name = '', packed = '', binary = ''] of sizes) {
    console.log(`codeslab-${name.padEnd(18)} ${packed.padStart(11)} ${binary.padStart(11)}`)
  }
  sumUp(counts)
})

/**
 * @param {Platform} platform
 * @param {string[][]} sizes what is added to: name, bytes of the tarball and of the binary
 * @returns {Count}
 */
function count(platform, sizes) {
  const { name } = platform
  const toolchain = toolchainOf(platform)
  if (typeof toolchain === 'string') return { passed: 0, failed: 0, skipped: [`${name}: ${toolchain}`] }
  try {
    const binary = join(root, 'npm', name, binaryName(name))
    copyFileSync(buildRelease(toolchain), binary)
    sizes.push([name, ...[packPlatform(name, binary), binary].map(path => statSync(path).size.toLocaleString('en'))])
    return { passed: 1, failed: 0, skipped: [] }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    console.log(`${name}: ${error.message}`)
    return { passed: 0, failed: 1, skipped: [] }
  }
}

/**
 * What builds for a platform, or why nothing here does.
 *
 * @param {Platform} platform
 * @returns {import('./cross.mjs').Toolchain | string}
 */
function toolchainOf({ os, target, zig }) {
  try {
    if (process.platform === 'linux') return withZig(zig)
    return os === process.platform ? withOwn(target) : `it is built on ${os} itself, or on Linux`
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return error.message
  }
}

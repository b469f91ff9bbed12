// npm run bench: builds what is measured and what it is measured against, then hands over to bench/run.ts.

import { existsSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { archives } from './inputs.mjs'
import { ask, Failure, main, root, run } from './process.mjs'
import { pinnedNode, prepare } from './setup.mjs'

await main(() => {
  prepare()
  const peers = buildRust()
  const [llvm, orc] = ['llvm_peer', 'orc_peer'].map(llvmPeer)
  const [libz] = archives('libz.a')
  const found = [
    '--rust',
    rustProgram(),
    ...(peers ? ['--peers'] : []),
    ...(llvm ? ['--llvm', llvm] : []),
    ...(orc ? ['--orc', orc] : []),
    ...(libz ? ['--libz', libz] : []),
  ]
  run(pinnedNode, [join(root, 'bench', 'run.ts'), ...found, ...process.argv.slice(2)])
})

/** Builds the Rust side, with the peers from crates.io if that works. Returns whether it did. */
function buildRust() {
  const build = ['build', '--release', '--quiet', '--package', 'codeslab-bench']
  // The arena comes with a whole compiler, of which nothing is executed.
  const unused = ['opt-level=0', 'codegen-units=16', 'debug=false'].flatMap(setting => [
    '--config',
    `profile.release.package.cranelift-codegen.${setting}`,
  ])
  console.log('Building the Rust side and its peers…')
  try {
    run('cargo', [...build, '--features', 'peers', ...unused])
    return true
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    console.log(`Going on without the peers: ${error.message}`)
    run('cargo', build)
    return false
  }
}

/** cargo knows where it puts things. */
function rustProgram() {
  const metadata = ask('cargo', ['metadata', '--format-version=1', '--no-deps', '--offline'])
  if (metadata === undefined) throw new Failure('cargo metadata failed')
  return join(JSON.parse(metadata).target_directory, 'release', 'codeslab-bench')
}

/**
 * The path of the program that a file in bench makes, built if LLVM 19 is here and it is not up to date.
 *
 * @param {string} name
 */
function llvmPeer(name) {
  const flags = ask('llvm-config-19', ['--cxxflags'])
  const libraries = ask('llvm-config-19', ['--ldflags', '--libs', '--system-libs'])
  if (flags === undefined || libraries === undefined) return undefined
  const source = join(root, 'bench', `${name}.cpp`)
  const program = join(root, '.cache', name)
  if (!existsSync(program) || statSync(program).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(join(root, '.cache'), { recursive: true })
    console.log(`Building the LLVM side (${name})…`)
    run('c++', [...words(flags), '-O2', '-std=c++17', source, '-o', program, ...words(libraries)])
  }
  return program
}

/** @param {string} text */
function words(text) {
  return text.split(/\s+/).filter(word => word !== '')
}

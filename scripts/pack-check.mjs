// npm run pack:check: does the package work for somebody who has only npm? Packs it, installs the tarballs without a
// network and without Rust into an empty project, and uses it from ES modules, CommonJS and TypeScript, on the oldest Node
// we support that is here and on the pinned one. It also runs the README's example and the guides', so that they stay true. Then it does
// as much as can be done of that for other systems (see pack-systems.mjs).

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { ask, Failure, main, root, run } from './process.mjs'
import { sumUp } from './counting.mjs'
import { install } from './installing.mjs'
import { pack } from './pack.mjs'
import { checkSystems, results } from './pack-systems.mjs'
import { thisPlatform } from './platforms.mjs'
import { pinnedNode, prepare } from './setup.mjs'
import { examples, runGuides } from './examples.mjs'

const typescript = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
// What may be in a tarball. Anything else is a leak from the checkout.
const expectedFiles =
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|(load|native)\.cjs|native\.d\.cts|dist\/(src\/((cli|internal)\/)?)?[\w-]+\.(js|d\.ts|d\.cts)|codeslab\.[\w-]+\.node)$/

await main(async () => {
  if (ask('cc', ['-print-file-name=libz.a']) === 'libz.a') {
    throw new Failure("the README's example links the system's zlib: apt-get install zlib1g-dev")
  }
  prepare()
  const tarballs = pack()
  for (const tarball of tarballs) checkContents(tarball)
  const project = mkdtempSync(join(tmpdir(), 'codeslab-pack-'))
  /** @type {import('./counting.mjs').Count[]} */
  const counts = [{ passed: 1, failed: 0, skipped: [] }]
  try {
    makeProject(project, tarballs)
    for (const node of nodes()) useFrom(project, node)
    for (const resolution of ['node16', 'nodenext', 'bundler']) typecheck(project, resolution)
    typecheckExamples(project)
    runGuides(join(project, 'guides'), pinnedNode)
    const printed = results(ask(pinnedNode, ['readme.mjs'], { cwd: project }) ?? '')
    counts.push(...(await checkSystems(readmeExample(), printed, withoutRust(), process.argv.includes('--built'))))
  } finally {
    rmSync(project, { recursive: true, force: true })
  }
  sumUp(counts)
})

/** @param {string} tarball */
function checkContents(tarball) {
  const list = ask('tar', ['-tzf', tarball])
  if (list === undefined) throw new Failure(`cannot list ${tarball}`)
  const files = list.split('\n').map(path => path.replace(/^package\//, ''))
  const strangers = files.filter(path => !expectedFiles.test(path))
  if (strangers.length > 0) throw new Failure(`${tarball} holds what it should not:\n  ${strangers.join('\n  ')}`)
  console.log(`${tarball.slice(root.length)}: ${files.length} files`)
}

/**
 * A project with the package, and with programs that use it.
 *
 * @param {string} project an empty folder
 * @param {string[]} tarballs
 */
function makeProject(project, tarballs) {
  install(project, tarballs, thisPlatform(), withoutRust())
  writeFileSync(join(project, 'readme.mjs'), readmeExample())
}

/** The first JavaScript block of the README. */
function readmeExample() {
  const block = /```js\n(.*?)```/s.exec(readFileSync(join(root, 'README.md'), 'utf8'))
  if (!block?.[1]) throw new Failure('README.md has no JavaScript example')
  return block[1]
}

/** The Node that runs this (the machine's own, when started by hand), the machine's, and the pinned one: by version, once. */
function nodes() {
  const path = withoutRust().PATH ?? ''
  const candidates = [...path.split(delimiter).map(folder => join(folder, 'node')), process.execPath, pinnedNode]
  /** @type {Map<string, string>} */
  const byVersion = new Map()
  for (const node of candidates) {
    const version = ask(node, ['--version'])
    if (version && !byVersion.has(version)) byVersion.set(version, node)
  }
  return [...byVersion.values()]
}

/**
 * @param {string} project
 * @param {string} node
 */
function useFrom(project, node) {
  console.log(`\nNode ${ask(node, ['--version'])}: import, require, the README's example`)
  // A deprecation or an experimental warning would be ours to explain to every user: it counts as a failure.
  const strict = ['--throw-deprecation', '--pending-deprecation']
  for (const file of ['use.mjs', 'use.cjs', 'readme.mjs']) {
    run(node, [...strict, file], { cwd: project, env: withoutRust() })
  }
  useCommand(project, node)
}

/**
 * The command, as `npx` runs it: on a real archive.
 *
 * @param {string} project
 * @param {string} node
 */
function useCommand(project, node) {
  const command = join(project, 'node_modules', '.bin', 'codeslab')
  const archive = ask('cc', ['-print-file-name=libz.a']) ?? ''
  const env = { ...withoutRust(), PATH: `${dirname(node)}${delimiter}${process.env.PATH}` }
  for (const args of [
    ['doctor'],
    ['inspect', archive],
    ['layout', archive],
    ['run', archive, '--call', 'uint64 crc32((uint64) 0, "123456789", 9)'],
  ]) {
    console.log(`codeslab ${args.join(' ')}`)
    run(command, args, { cwd: project, env })
  }
}

/**
 * @param {string} project
 * @param {string} moduleResolution
 */
function typecheck(project, moduleResolution) {
  console.log(`tsc --strict, moduleResolution ${moduleResolution}`)
  const isBundler = moduleResolution === 'bundler'
  const compilerOptions = {
    ...{ module: isBundler ? 'esnext' : moduleResolution, moduleResolution, target: 'es2022' },
    ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true, skipLibCheck: false },
    // Without `lib` and @types/node: our typings bring what they use beyond the default library of that target.
    ...{ types: [] },
  }
  const files = isBundler ? ['use.mts'] : ['use.mts', 'use-commonjs.cts']
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  run(process.execPath, [typescript, '--project', '.'], { cwd: project })
}

/**
 * The examples in the guides and in the API reference must at least compile.
 *
 * @param {string} project
 */
function typecheckExamples(project) {
  const files = examples().map(({ name, text }) => {
    writeFileSync(join(project, `${name}.mts`), text)
    return `${name}.mts`
  })
  console.log(`tsc --strict, ${files.length} examples of the guides and the API reference`)
  const types = { types: ['node'], typeRoots: [join(root, 'node_modules', '@types')] }
  const compilerOptions = { ...types, module: 'nodenext', target: 'es2022', strict: true, noEmit: true }
  const lib = ['es2022', 'esnext.disposable']
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...compilerOptions, lib }, files }))
  run(process.execPath, [typescript, '--project', '.'], { cwd: project })
}

/** Our environment without cargo, so that nothing can be built, and without what npm told this script. */
function withoutRust() {
  const kept = Object.entries(process.env).filter(([name]) => !/^(npm_|CARGO|RUST|NODE_)/i.test(name))
  const environment = Object.fromEntries(kept)
  const hidden = [dirname(pinnedNode), join(root, 'node_modules', '.bin')]
  environment.PATH = (process.env.PATH ?? '')
    .split(delimiter)
    .filter(folder => !hidden.includes(folder) && ask(join(folder, 'cargo'), ['--version']) === undefined)
    .join(delimiter)
  return environment
}

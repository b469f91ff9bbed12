/** The packages of the platforms: that everything which lists them lists the same, and that npm takes the right one. */

import test from 'ava'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { install } from '../scripts/installing.mjs'
import { binaryName, platformOf, platforms, thisPlatform } from '../scripts/platforms.mjs'

/** What a package.json says. */
interface Manifest {
  [field: string]: unknown
  version: string
  napi?: { targets: string[] }
}

const manifestIn = (folder: string) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
const main = manifestIn('.')
const names = platforms.map(({ name }) => name)
const workflows = readdirSync('.github/workflows').map(name => ({
  name,
  text: readFileSync(join('.github/workflows', name), 'utf8'),
}))

/** One job of the release workflow. */
function job(name: string): string {
  const text = workflows.find(workflow => workflow.name === 'release.yml')?.text ?? ''
  return new RegExp(`^  ${name}:\n(?:(?:    .*)?\n)+`, 'm').exec(text)?.[0] ?? ''
}

test('each platform that is built has a folder in npm/, and no other has one', t => {
  t.deepEqual(readdirSync('npm').sort(), [...names].sort())
})

test('napi builds the loader for the targets that are published', t => {
  t.deepEqual(
    main.napi?.targets,
    platforms.map(({ target }) => target),
  )
})

for (const { name, os, cpu, libc, title } of platforms) {
  test(`the package codeslab-${name} is for ${title}, by what npm is told and by what its reader is`, t => {
    const folder = join('npm', name)
    const { description, keywords, author, license, engines, version } = main
    t.deepEqual(manifestIn(folder), {
      ...{ name: `codeslab-${name}`, description, keywords, author, license, engines, version },
      ...{ main: binaryName(name), files: [binaryName(name)] },
      ...{ os: [os], cpu: [cpu], ...(libc === undefined ? {} : { libc: [libc] }) },
    })
    const readme = readFileSync(join(folder, 'README.md'), 'utf8')
    t.true(readme.startsWith(`# codeslab-${name}\n`))
    t.true(readme.includes(`for ${title}.`))
  })
}

test('the release builds each platform by its target, tests it, and installs it', t => {
  const rows = [...job('build').matchAll(/- platform: (\S+)\n\s+target: (\S+)\n/g)].map(([, name, target]) => [
    name,
    target,
  ])
  t.deepEqual(
    rows,
    platforms.map(({ name, target }) => [name, target]),
  )
  for (const name of ['test', 'try']) {
    const tried = [...job(name).matchAll(/platform: ([\w-]+)/g)].map(([, platform]) => platform)
    t.deepEqual([...new Set(tried)], names, name)
  }
})

test('workflows take actions by digest, with the version beside it, and leave no credentials behind', t => {
  for (const { name, text } of workflows) {
    const used = [...text.matchAll(/uses: (.*)/g)].map(([, action = '']) => action)
    t.true(used.length > 0, name)
    for (const action of used)
      t.regex(action, /^[\w-]+\/[\w-]+@[0-9a-f]{40} # (?:v\d+\.\d+\.\d+|stable|nightly|1\.\d+\.0)$/)
    const checkouts = [...text.matchAll(/uses: actions\/checkout@/g)].length
    t.is([...text.matchAll(/persist-credentials: false/g)].length, checkouts, name)
  }
})

test('jobs of workflows may read the source, and the one that publishes may prove who it is', t => {
  for (const { name, text } of workflows) {
    t.regex(text, /^permissions: \{\}$/m, name)
    const rights = [...text.matchAll(/^ {6}([\w-]+): (?:read|write)$/gm)].map(([line]) => line.trim())
    const jobs = [...text.matchAll(/^ {4}runs-on:/gm)].length
    t.is(rights.filter(right => right === 'contents: read').length, jobs, name)
    const more = rights.filter(right => right !== 'contents: read')
    t.deepEqual(more, name === 'release.yml' ? ['id-token: write'] : [], name)
  }
  t.true(job('publish').includes('id-token: write'))
})

test('a platform that there is not is refused with the names of those that there are', t => {
  t.is(platformOf('linux-x64-musl').libc, 'musl')
  t.throws(() => platformOf('linux-x86'), { message: /no platform linux-x86, but: linux-x64-gnu, .*darwin-arm64$/ })
})

test('of all packages, npm takes that of the system for which it installs', t => {
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-packages-'))
  t.teardown(() => {
    rmSync(folder, { recursive: true })
  })
  const optionalDependencies = Object.fromEntries(names.map(name => [`codeslab-${name}`, main.version]))
  const manifests = [{ name: 'codeslab', version: main.version, optionalDependencies }]
  const tarballs = [...manifests, ...names.map(name => manifestIn(join('npm', name)))].map(manifest => {
    const place = join(folder, 'package')
    mkdirSync(place, { recursive: true })
    writeFileSync(join(place, 'package.json'), JSON.stringify(manifest))
    const tarball = join(folder, `${String(manifest['name'])}-${main.version}.tgz`)
    spawnSync('tar', ['-czf', tarball, 'package'], { cwd: folder })
    return tarball
  })
  for (const platform of platforms) {
    const project = mkdtempSync(join(folder, 'project-'))
    // It fails unless there is this one package, and no other.
    t.notThrows(() => {
      install(project, tarballs, platform)
    }, platform.name)
  }
  const project = mkdtempSync(join(folder, 'project-'))
  const without = tarballs.filter(path => !path.includes(names[0] ?? ''))
  t.throws(
    () => {
      install(project, without, platforms[0])
    },
    { message: 'for linux-x64-gnu, npm installed no binary' },
  )
})

test('this machine is one of the platforms', t => {
  const here = thisPlatform()
  t.deepEqual([here?.os, here?.cpu], [process.platform, process.arch])
})

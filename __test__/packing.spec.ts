import test from 'ava'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pageOf } from '../scripts/address.mjs'

test('the page of a repository is found in each form in which git has its address', t => {
  const page = 'https://git.example/me/codeslab'
  for (const address of [
    'git@git.example:me/codeslab.git',
    'ssh://git@git.example:2222/me/codeslab.git',
    'https://git.example/me/codeslab.git',
    'git+https://git.example/me/codeslab.git',
    'https://user:secret@git.example/me/codeslab/\n',
  ]) {
    t.is(pageOf(address), page, address)
  }
  for (const address of ['', '/home/me/codeslab', '../codeslab', 'file:///home/me/codeslab', 'https://git.example']) {
    t.is(pageOf(address), undefined, address)
  }
})

/** Publishes packages with these manifests, by an npm that only prints what it is told. */
function publish(...manifests: object[]): { status: number | null; output: string; complaints: string } {
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-packing-'))
  try {
    for (const [index, manifest] of manifests.entries()) {
      mkdirSync(join(folder, 'package'), { recursive: true })
      writeFileSync(join(folder, 'package', 'package.json'), JSON.stringify(manifest))
      spawnSync('tar', ['-czf', `${index}.tgz`, 'package'], { cwd: folder })
    }
    writeFileSync(join(folder, 'npm'), '#!/bin/sh\necho "$1 ${2##*/}"\n', { mode: 0o755 })
    const env = { ...process.env, PATH: `${folder}:${process.env['PATH'] ?? ''}` }
    const ended = spawnSync(process.execPath, ['scripts/publish.mjs', folder], { env, encoding: 'utf8' })
    return { status: ended.status, output: ended.stdout, complaints: ended.stderr }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const page = 'https://git.example/me/codeslab'
const addressed = { repository: { type: 'git', url: `git+${page}.git` }, homepage: page, bugs: { url: page } }

test('packages are published with those of the platforms first', t => {
  const { status, output } = publish({ ...addressed, optionalDependencies: {} }, addressed)
  t.deepEqual({ status, output }, { status: 0, output: 'publish 1.tgz\npublish 0.tgz\n' })
})

test('packages that do not say where their source is are not published, and the reason is a sentence', t => {
  for (const missing of ['repository', 'homepage', 'bugs']) {
    const { status, output, complaints } = publish(addressed, { ...addressed, [missing]: undefined })
    t.deepEqual([status, output], [1, ''], missing)
    t.regex(
      complaints,
      /^\nthese packages cannot be published, because they do not say where their source is: set CODESLAB_REPOSITORY/,
    )
  }
})

test('no file of the tree has an address of the repository: it comes from one place when packing', t => {
  for (const path of ['package.json', 'npm/linux-x64-gnu/package.json']) {
    const { repository, homepage, bugs } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
    t.deepEqual([repository, homepage, bugs], [undefined, undefined, undefined], path)
  }
})

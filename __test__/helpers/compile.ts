/** Real objects, made by the real compiler of this machine. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { archives } from '../../scripts/inputs.mjs'

const fixtures = join(import.meta.dirname, '..', 'fixtures')

/** An object made of a file in `fixtures`. */
export function compileFixture(name: string, ...flags: string[]): Buffer {
  return withFolder(folder => compileIn(folder, join(fixtures, name), flags))
}

/** An object made of this C source. */
export function compile(source: string, ...flags: string[]): Buffer {
  return compileAs('c', source, ...flags)
}

/** An object made of this assembler source. */
export function assemble(source: string, ...flags: string[]): Buffer {
  return compileAs('s', source, ...flags)
}

/** An archive of objects, by the names of its members. */
export function archive(members: Readonly<Record<string, Buffer>>, options = 'rcs'): Buffer {
  return withFolder(folder => {
    for (const [name, bytes] of Object.entries(members)) writeFileSync(join(folder, name), bytes)
    execFileSync('ar', [options, 'made.a', ...Object.keys(members)], { cwd: folder })
    return readFileSync(join(folder, 'made.a'))
  })
}

/** A real library, built from its source: the one that the Rust tests link, too. */
export function builtLibrary(name: 'libz.a' | 'libzstd.a' | 'libsqlite3.a'): Buffer {
  const [path = ''] = archives(name)
  return readFileSync(path)
}

/** A shared library, which is ELF but cannot be linked. */
export function compileShared(source: string): Buffer {
  return compile(source, '-shared', '-fPIC', '-nostdlib')
}

function compileAs(extension: string, source: string, ...flags: string[]): Buffer {
  return withFolder(folder => {
    const path = join(folder, `source.${extension}`)
    writeFileSync(path, source)
    return compileIn(folder, path, flags)
  })
}

function compileIn(folder: string, path: string, flags: string[]): Buffer {
  const object = join(folder, 'object.o')
  const kind = flags.includes('-shared') ? [] : ['-c']
  execFileSync('cc', ['-O2', ...kind, ...flags, path, '-o', object], { stdio: ['ignore', 'ignore', 'inherit'] })
  return readFileSync(object)
}

function withFolder<T>(action: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-test-'))
  try {
    return action(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

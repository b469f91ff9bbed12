/** Real objects, made by the real compiler of this machine, or by that of another machine for this one. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { archives } from '../../scripts/inputs.mjs'
import { elsewhere } from './compile-elsewhere.ts'

const fixtures = join(import.meta.dirname, '..', 'fixtures')

/** Beside every source, which may include it. */
const threads = readFileSync(join(fixtures, 'thread.h'))

/** An object made of a file in `fixtures`. */
export function compileFixture(name: string, ...flags: string[]): Buffer {
  return compileAs(name, readFileSync(join(fixtures, name)), flags)
}

/** An object made of this C source. */
export function compile(source: string, ...flags: string[]): Buffer {
  return compileAs('source.c', Buffer.from(source), flags)
}

/** An object made of this assembler source. */
export function assemble(source: string, ...flags: string[]): Buffer {
  return compileAs('source.s', Buffer.from(source), flags)
}

/** An archive of objects, by the names of its members. */
export function archive(members: Readonly<Record<string, Buffer>>, options = 'rcs'): Buffer {
  return made('ar', [options, 'made.a', ...Object.keys(members)], members, 'made.a')
}

/** A real library, built from its source: the one that the Rust tests link, too. */
export function builtLibrary(name: 'libz.a' | 'libzstd.a' | 'libsqlite3.a'): Buffer {
  const folder = process.env['CODESLAB_LIBRARIES']
  if (folder !== undefined) return readFileSync(join(folder, name))
  const [path = ''] = archives(name)
  return readFileSync(path)
}

/** A shared library, which is in the same format as objects but cannot be linked. */
export function compileShared(source: string): Buffer {
  return compile(source, '-shared', '-fPIC', '-nostdlib')
}

function compileAs(name: string, source: Buffer, flags: string[]): Buffer {
  const kind = flags.includes('-shared') ? [] : ['-c']
  const files = { [name]: source, 'thread.h': threads }
  return made('cc', ['-O2', ...kind, ...flags, name, '-o', 'object.o'], files, 'object.o')
}

/** The file that a tool makes of others. */
function made(tool: 'cc' | 'ar', args: string[], files: Readonly<Record<string, Buffer>>, output: string): Buffer {
  if (elsewhere !== undefined) return elsewhere(tool, args, files, output)
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-test-'))
  try {
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes)
    execFileSync(tool, args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
    return readFileSync(join(folder, output))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

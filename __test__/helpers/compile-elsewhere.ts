/**
 * Compiling where there is no compiler: what is to be made is written into a folder, in which a program of another system finds it and answers
 * (see `scripts/answering.mjs`). `CODESLAB_COMPILING` names the folder; an answer is kept for the time of a run, so the same is made once.
 */

import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { env, pid } from 'node:process'
import { threadId } from 'node:worker_threads'

type Make = (tool: string, args: string[], files: Readonly<Record<string, Buffer>>, output: string) => Buffer

/** How long an answer may take, in milliseconds. */
const patience = 120_000

/** `undefined` where this machine compiles itself. */
export const elsewhere: Make | undefined = env['CODESLAB_COMPILING'] === undefined ? undefined : make

function make(tool: string, args: string[], files: Readonly<Record<string, Buffer>>, output: string): Buffer {
  const named = Object.entries(files).map(([name, bytes]) => [name, bytes.toString('base64')])
  const request = JSON.stringify({ tool, args, files: named, output })
  const key = createHash('sha256').update(request).digest('hex').slice(0, 24)
  const path = (kind: string) => join(env['CODESLAB_COMPILING'] ?? '', `${key}.${kind}`)
  if (!existsSync(path('made'))) {
    // Another thread or process may ask for the same: whole files take the place of whole files.
    const unfinished = path(`${String(pid)}-${String(threadId)}`)
    writeFileSync(unfinished, request)
    renameSync(unfinished, path('request'))
    wait(() => existsSync(path('made')) || existsSync(path('failed')))
  }
  if (!existsSync(path('made'))) throw new Error(`${tool} ${args.join(' ')}: ${readFileSync(path('failed'), 'utf8')}`)
  return readFileSync(path('made'))
}

function wait(done: () => boolean): void {
  const word = new Int32Array(new SharedArrayBuffer(4))
  const end = Date.now() + patience
  while (!done()) {
    if (Date.now() > end) throw new Error('nobody compiles for this machine')
    Atomics.wait(word, 0, 0, 3)
  }
}

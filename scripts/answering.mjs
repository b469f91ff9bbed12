// Compiles for a system that has no compiler: tests there write into a folder what is to be made (see __test__/helpers/compile-elsewhere.ts),
// and this program makes it, until it is ended.
//
// Arguments: the folder, the C compiler, the archiver.

import { Buffer } from 'node:buffer'
import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/**
 * Starts it as a program of its own; the function that is returned ends it.
 *
 * @param {string} folder where requests come and answers go; those of an earlier run are forgotten
 * @param {string} compiler
 * @param {string} archiver
 */
export function startAnswering(folder, compiler, archiver) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), folder, compiler, archiver], {
    stdio: 'inherit',
  })
  return () => child.kill()
}

/**
 * Makes what one request asks for.
 *
 * @param {string} text
 * @param {Record<string, string>} programs
 * @returns {Promise<{ made: Buffer } | { complaint: string }>}
 */
async function answer(text, programs) {
  const { tool, args, files, output } = JSON.parse(text)
  const place = mkdtempSync(join(tmpdir(), 'codeslab-answer-'))
  try {
    for (const [name, bytes] of files) writeFileSync(join(place, name), Buffer.from(bytes, 'base64'))
    // The C library of the system prints, and not one that would have to be linked in.
    const own = tool === 'cc' ? ['-D__USE_MINGW_ANSI_STDIO=0'] : []
    const complaint = await started(programs[tool] ?? tool, [...own, ...args], place)
    if (complaint !== undefined) return { complaint }
    return { made: readFileSync(join(place, output)) }
  } finally {
    rmSync(place, { recursive: true })
  }
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {string} cwd
 * @returns {Promise<string | undefined>} what it complained about, if it failed
 */
function started(program, args, cwd) {
  return new Promise(resolve => {
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
    let complaints = ''
    child.stderr.setEncoding('utf8').on('data', part => (complaints += part))
    child.on('error', error => resolve(error.message))
    child.on('close', status => resolve(status === 0 ? undefined : complaints || `ended with ${status}`))
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder = '', cc = '', ar = ''] = process.argv.slice(2)
  /** @type {Map<string, Promise<void>>} */
  const working = new Map()
  /** @param {string} key */
  const work = async key => {
    const path = join(folder, key)
    const result = await answer(readFileSync(`${path}.request`, 'utf8'), { cc, ar })
    const [kind, content] = 'made' in result ? ['made', result.made] : ['failed', result.complaint]
    writeFileSync(`${path}.unfinished`, content)
    renameSync(`${path}.unfinished`, `${path}.${kind}`)
  }
  for (;;) {
    const requests = readdirSync(folder).filter(name => name.endsWith('.request'))
    for (const name of requests) {
      const key = name.slice(0, -'.request'.length)
      const isAnswered = existsSync(join(folder, `${key}.made`)) || existsSync(join(folder, `${key}.failed`))
      if (isAnswered) rmSync(join(folder, name), { force: true })
      else if (!working.has(key))
        working.set(
          key,
          work(key).finally(() => working.delete(key)),
        )
    }
    await setTimeout(3)
  }
}

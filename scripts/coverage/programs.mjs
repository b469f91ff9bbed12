// Starting programs that may hang, crash or print anything.

import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { clearTimeout, setTimeout } from 'node:timers'

/** How long one program may take, in milliseconds. */
const PATIENCE = 60_000

/**
 * @typedef {object} End
 * @property {boolean} ok
 * @property {number | null} status
 * @property {string} how in words
 * @property {string} output
 * @property {string} errors
 */

/**
 * Runs a program until it ends, or for as long as one may take.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {number} [patience] milliseconds
 * @returns {Promise<End>}
 */
export function finished(program, args, patience = PATIENCE) {
  return new Promise(resolve => {
    // Some of what is linked leaves files where it runs.
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: tmpdir() })
    const [output, errors] = [collect(child.stdout), collect(child.stderr)]
    let isLate = false
    const timer = setTimeout(() => (isLate = child.kill('SIGKILL')), patience)
    child.on('error', error => errors.push(error.message))
    child.on('close', (status, signal) => {
      clearTimeout(timer)
      const how = isLate ? 'hangs' : `ends with ${signal ?? status}`
      resolve({ ok: status === 0, status, how, output: output.join(''), errors: errors.join('') })
    })
  })
}

/**
 * @param {import('node:stream').Readable} stream
 * @returns {string[]} what comes, as it comes
 */
function collect(stream) {
  /** @type {string[]} */
  const texts = []
  stream.setEncoding('utf8').on('data', text => texts.push(text))
  return texts
}

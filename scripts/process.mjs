// Starting other programs and failing with a message that helps. Plain Node: these files run before anything is installed.

import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The root of the checkout. */
export const root = fileURLToPath(new URL('..', import.meta.url))

/** A failure that is explained in full by its message: no stack is printed. */
export class Failure extends Error {}

/**
 * Runs a program with our terminal as its own and throws unless it succeeds.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {import('node:child_process').SpawnSyncOptions} [options]
 */
export function run(program, args, options = {}) {
  const result = spawnSync(program, args, { cwd: root, stdio: 'inherit', ...options })
  if (result.error) throw new Failure(`cannot start ${program}: ${result.error.message}`)
  if (result.status !== 0) throw new Failure(`${program} ${args.join(' ')} ended with ${outcome(result)}`)
}

/**
 * Runs a program, shows what it prints and returns it as well.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptionsWithoutStdio} [options]
 * @param {boolean} [quiet] whether it is returned only
 * @returns {Promise<{ ok: boolean, output: string }>}
 */
export function tee(program, args, options = {}, quiet = false) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, ...options })
    child.stdin.end()
    let output = ''
    /** @type {(from: import('node:stream').Readable, to: NodeJS.WriteStream) => void} */
    const pass = (from, to) => {
      from.setEncoding('utf8').on('data', text => {
        output += text
        if (!quiet) to.write(text)
      })
    }
    pass(child.stdout, process.stdout)
    pass(child.stderr, process.stderr)
    child.on('error', error => reject(new Failure(`cannot start ${program}: ${error.message}`)))
    child.on('close', status => resolve({ ok: status === 0, output }))
  })
}

/**
 * What a program prints, or `undefined` if it cannot be started or fails.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {import('node:child_process').SpawnSyncOptions} [options]
 */
export function ask(program, args, options = {}) {
  const result = spawnSync(program, args, { cwd: root, maxBuffer: 2 ** 28, ...options, encoding: 'utf8' })
  return result.status === 0 ? result.stdout.trim() : undefined
}

/**
 * Runs the main function of a script and turns what it throws into an exit code.
 *
 * @param {() => void | Promise<void>} body
 */
export async function main(body) {
  try {
    await body()
  } catch (error) {
    console.error(error instanceof Failure ? `\n${error.message}` : error)
    process.exitCode = 1
  }
}

/** @param {import('node:child_process').SpawnSyncReturns<unknown>} result */
function outcome({ status, signal }) {
  return signal ? `signal ${signal}` : `exit code ${status}`
}

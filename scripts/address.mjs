// Where the project lives: what `repository`, `homepage` and `bugs` of the packages say. No file of the tree has the address, since a fork
// or a move would make it wrong. It is CODESLAB_REPOSITORY, or what CI says, or the remote `origin` of git.

import { ask } from './process.mjs'

/** @typedef {{ repository: { type: 'git', url: string, directory?: string }, homepage: string, bugs: { url: string } }} Addresses */

/**
 * The fields of a package.json, or `undefined` where nobody says an address.
 *
 * @param {string} [directory] where in the repository the package is
 * @returns {Addresses | undefined}
 */
export function addresses(directory) {
  const { CODESLAB_REPOSITORY, GITHUB_SERVER_URL, GITHUB_REPOSITORY } = process.env
  const ofCi = GITHUB_SERVER_URL && GITHUB_REPOSITORY ? `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}` : undefined
  const page = pageOf(CODESLAB_REPOSITORY || ofCi || ask('git', ['remote', 'get-url', 'origin']) || '')
  if (page === undefined) return undefined
  const repository = { type: /** @type {const} */ ('git'), url: `git+${page}.git`, ...(directory ? { directory } : {}) }
  return { repository, homepage: `${page}#readme`, bugs: { url: `${page}/issues` } }
}

/** What is said where an address is needed and there is none. */
export const noAddress =
  'these packages cannot be published, because they do not say where their source is: set CODESLAB_REPOSITORY to the https address of ' +
  'the repository, or add it as the git remote origin, and run npm run pack again'

/**
 * The page of a repository, by any of the addresses that git has for it. `undefined` if it has none: a path, for example.
 *
 * @param {string} address
 */
export function pageOf(address) {
  const plain = address
    .trim()
    .replace(/^git\+/, '')
    .replace(/\/+$/, '')
    .replace(/\.git$/, '')
  const ssh = /^(?:ssh:\/\/)?(?:[\w.-]+@)([\w.-]+)(?::\d+\/|[:/])([\w./~-]+)$/.exec(plain)
  if (ssh) return `https://${ssh[1]}/${ssh[2]}`
  const web = /^https?:\/\/(?:[^@/]*@)?([\w.-]+(?::\d+)?\/[\w./~-]+)$/.exec(plain)
  return web ? `https://${web[1]}` : undefined
}

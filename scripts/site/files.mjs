// Which files make the site, and which the site consists of.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ask, Failure, root } from '../process.mjs'

/** What npm shows on the page of a platform's package is no page of the project. */
const notPages = /^npm\//

/** Every Markdown file of the repository that is a page, as a path from the root. */
export function markdownFiles() {
  const list = ask('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'])
  if (list === undefined) throw new Failure('the pages of the site are those that git knows: git ls-files failed')
  return list.split('\n').filter(path => path !== '' && !notPages.test(path))
}

/**
 * The HTML files in a folder, as paths from there.
 *
 * @param {string} folder
 */
export function htmlIn(folder) {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names.filter(name => name.endsWith('.html'))
}

export const site = join(root, 'docs', 'api')

// Whether every link of the built site leads to something: a file, and in it the anchor. Addresses elsewhere are not asked, because a
// check that needs a network fails for reasons of its own; they must be https.

import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { htmlIn } from './files.mjs'

// The icons that a page uses are no links of its own.
const tag = /<(?!use\b)[a-z][^>]*>/gi
const attribute = /\s(?:href|src|srcset)="([^"]*)"/g
const anchor = /\s(?:id|name)="([^"]*)"/g

/**
 * What is wrong with the links of the site in a folder, one sentence for each.
 *
 * @param {string} folder
 */
export function brokenLinks(folder) {
  const pages = new Map(htmlIn(folder).map(name => [name, read(join(folder, name))]))
  const broken = [...pages].flatMap(([page, { links }]) =>
    links.flatMap(link => {
      const reason = whatIsWrong(folder, pages, page, link)
      return reason === undefined ? [] : [`${page}: ${link}: ${reason}`]
    }),
  )
  return { broken, pages: pages.size, links: [...pages.values()].reduce((sum, { links }) => sum + links.length, 0) }
}

/** @param {string} path */
function read(path) {
  // What a script says is no link.
  const html = readFileSync(path, 'utf8').replaceAll(/<script\b.*?<\/script>/gs, '')
  const tags = (html.match(tag) ?? []).join('\n')
  const values = (/** @type {RegExp} */ pattern) => [...tags.matchAll(pattern)].map(([, value = '']) => plain(value))
  return { links: [...new Set(values(attribute))], anchors: new Set(values(anchor)) }
}

/** @param {string} value */
function plain(value) {
  return value.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<').replaceAll('&amp;', '&')
}

/**
 * @param {string} folder
 * @param {Map<string, { anchors: Set<string> }>} pages
 * @param {string} page
 * @param {string} link
 */
function whatIsWrong(folder, pages, page, link) {
  if (/^(data:|mailto:|https:\/\/)/.test(link)) return undefined
  if (/^[a-z][a-z+.-]*:/i.test(link)) return 'is neither a page of the site nor https'
  const [path = '', fragment] = split(link)
  if (path.startsWith('/')) return 'leaves the site'
  const target = path === '' ? page : fileOf(folder, join(dirname(page), path))
  if (target.startsWith('..')) return 'leaves the site'
  if (!existsSync(join(folder, target))) return 'there is no such file'
  if (fragment === undefined || fragment === '' || fragment === 'top') return undefined
  const anchors = pages.get(target)?.anchors
  if (anchors === undefined) return 'an anchor in what is no page'
  return anchors.has(fragment) ? undefined : 'there is no such anchor on that page'
}

/** @param {string} link */
function split(link) {
  const [address = '', fragment] = link.split('#')
  const [path = ''] = address.split('?')
  return [decodeURIComponent(path), fragment === undefined ? undefined : decodeURIComponent(fragment)]
}

/**
 * @param {string} folder
 * @param {string} path
 */
function fileOf(folder, path) {
  const absolute = join(folder, path)
  const isFolder = existsSync(absolute) && statSync(absolute).isDirectory()
  return relative(folder, isFolder ? join(absolute, 'index.html') : absolute)
}

// What TypeDoc does not do by itself for the site: pages about the project have names and a place in the navigation, and what the pages
// refer to in the source is a page as well, with a number for each line, so that the site works without a network.

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, extname, join, relative } from 'node:path'
import { Application, Converter, PageEvent, RendererEvent } from 'typedoc'
import { htmlIn } from './files.mjs'
import { root } from '../process.mjs'

/** The site links a line of the source by an address that has this scheme, until all pages are written. */
const scheme = 'source:'
/** @type {Record<string, string>} */
const languages = {
  ...{ '.ts': 'ts', '.mts': 'ts', '.mjs': 'js', '.cjs': 'js', '.rs': 'rust' },
  ...{ '.c': 'c', '.h': 'c', '.cpp': 'cpp', '.toml': 'toml' },
}

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.on(Application.EVENT_BOOTSTRAP_END, () => {
    app.options.setValue('disableGit', true)
    app.options.setValue('sourceLinkTemplate', `${scheme}{path}#L{line}`)
  })
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, document) => nameByHeading(document))
  app.converter.on(Converter.EVENT_RESOLVE_END, context => keepOwnSources(context.project))
  /** @type {Map<string, string>} */
  let sources = new Map()
  // Before TypeDoc writes which colours were used, and after it has copied what pages refer to.
  app.renderer.on(RendererEvent.END, event => void (sources = highlight(app, event)), 100)
  app.renderer.on(RendererEvent.END, event => finish(event, sources), -100)
}

/**
 * A page without front matter is one about the project, and has the name of its heading.
 *
 * @param {import('typedoc').DocumentReflection} document
 */
function nameByHeading(document) {
  if ('category' in document.frontmatter) return
  document.frontmatter.category = 'Project'
  const [first] = document.content
  const heading = /^# (.+)\n/.exec(first?.text ?? '')
  if (first === undefined || heading === null) return
  document.name = heading[1] ?? document.name
}

/**
 * What is inherited from the language has its source elsewhere.
 *
 * @param {import('typedoc').ProjectReflection} project
 */
function keepOwnSources(project) {
  for (const reflection of Object.values(project.reflections)) {
    const { sources } = /** @type {import('typedoc').DeclarationReflection} */ (reflection)
    if (sources?.some(({ fullFileName }) => fullFileName.includes('node_modules'))) {
      delete (/** @type {import('typedoc').DeclarationReflection} */ (reflection).sources)
    }
  }
}

/**
 * The pages of source files, by path: those of the module, and those that a page refers to.
 *
 * @param {import('typedoc').Application} app
 * @param {RendererEvent} event
 */
function highlight(app, event) {
  const theme = /** @type {import('typedoc').DefaultTheme} */ (app.renderer.theme)
  const context = theme.getRenderContext(new PageEvent(event.project))
  const referred = [...event.project.files.getMediaPaths()].map(path => relative(root, path))
  const module = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).map(name => join('src', name))
  const paths = new Set(['index.ts', ...module, ...referred].filter(path => languageOf(path) !== undefined))
  return new Map([...paths].map(path => [path, lines(context, path)]))
}

/** @param {string} path */
function languageOf(path) {
  return languages[extname(path)]
}

/**
 * A file with its colours, each line of it an anchor.
 *
 * @param {import('typedoc').DefaultThemeRenderContext} context
 * @param {string} path
 */
function lines(context, path) {
  const text = readFileSync(join(root, path), 'utf8').trimEnd()
  const fence = '`'.repeat(8)
  const html = context.markdown([{ kind: 'code', text: `${fence}${languageOf(path)}\n${text}\n${fence}` }])
  const code = /<code[^>]*>(.*)<\/code>/s.exec(html)?.[1] ?? ''
  const numbered = code.split(/<br\s*\/?>|\n/).map((line, index) => {
    const anchor = `L${index + 1}`
    return `<span id="${anchor}" class="line"><a href="#${anchor}">${index + 1}</a>${line}</span>`
  })
  return `<pre class="source"><code>${numbered.join('\n')}</code></pre>`
}

/**
 * Writes the pages of source files, in the frame of the first page, and has every page lead to them.
 *
 * @param {RendererEvent} event
 * @param {Map<string, string>} sources
 */
function finish(event, sources) {
  const out = event.outputDirectory
  const frame = readFileSync(join(out, 'index.html'), 'utf8')
  for (const [path, code] of sources) write(join(out, 'source', `${path}.html`), inFrame(frame, path, code))
  /** @type {Map<string, string>} */
  const media = new Map()
  for (const [name, absolute] of event.project.files.getNameToAbsoluteMap()) {
    const path = relative(root, absolute)
    if (!sources.has(path)) continue
    media.set(name, path)
    rmSync(join(out, 'media', name), { force: true })
  }
  for (const page of htmlIn(out)) {
    const toSource = (/** @type {string} */ path) => relative(dirname(page), join('source', `${path}.html`))
    const text = readFileSync(join(out, page), 'utf8')
    const led = text
      .replaceAll(new RegExp(`href="${scheme}([^"#]+)`, 'g'), (_, path) => `href="${toSource(path)}`)
      .replaceAll(/href="(?:\.\.\/)*media\/([^"#]+)"/g, (whole, name) => {
        const path = media.get(name)
        return path === undefined ? whole : `href="${toSource(path)}"`
      })
    if (led !== text) write(join(out, page), led)
  }
}

/**
 * @param {string} frame the page that has everything around the content
 * @param {string} path
 * @param {string} code
 */
function inFrame(frame, path, code) {
  const up = '../'.repeat(path.split('/').length)
  const title = `<div class="tsd-page-title"><h1>${path}</h1></div>`
  return frame
    .replace(/<title>.*?<\/title>/, `<title>${path}</title>`)
    .replace(
      /(<div class="col-content">).*?(<div class="col-sidebar">)/s,
      (_, start, end) => `${start}${title}${code}</div>${end}`,
    )
    .replace(/(<div class="page-menu">).*?(<div class="site-menu">)/s, (_, start, end) => `${start}</div>${end}`)
    .replace('data-base="."', `data-base="${up.slice(0, -1)}"`)
    .replaceAll(/(href|src)="(?!https?:|#|\/|data:)(?:\.\/)?([^"]+)"/g, (_, name, url) => `${name}="${up}${url}"`)
}

/**
 * @param {string} path
 * @param {string} text
 */
function write(path, text) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

// npm run docs: the site in docs/api: the API reference, the guides, and every other page of the repository. A warning is an error, and
// so is a link that leads nowhere.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, main, root, run } from './process.mjs'
import { prepare } from './setup.mjs'
import { markdownFiles, site } from './site/files.mjs'
import { brokenLinks } from './site/links.mjs'

/** A code in src/errors.ts with the sentence above it. */
const documentedCode = /\/\*\* (?<meaning>.+) \*\/\s+\| '(?<code>ERR_CODESLAB_\w+)'/g

await main(() => {
  prepare()
  listErrors()
  checkPages()
  run(process.execPath, [join(root, 'node_modules', 'typedoc', 'bin', 'typedoc')])
  checkLinks()
  console.log('\nOpen docs/api/index.html.')
})

/** Every link of the site leads somewhere. */
function checkLinks() {
  const { broken, pages, links } = brokenLinks(site)
  if (broken.length > 0) throw new Failure(`${broken.length} links of the site are broken:\n  ${broken.join('\n  ')}`)
  console.log(`${pages} pages, ${markdownFiles().length} of them from Markdown; ${links} links, none broken`)
}

/** Every Markdown file of the repository is a page. README.md is the first of them. */
function checkPages() {
  const listed = readFileSync(join(root, 'index.ts'), 'utf8').matchAll(/@document (\S+)/g)
  const pages = new Set(['README.md', ...[...listed].map(([, path]) => path)])
  const missing = markdownFiles().filter(path => !pages.has(path))
  if (missing.length > 0) throw new Failure(`index.ts has no @document for ${missing.join(', ')}`)
}

/** Brings the table of docs/errors.md up to date with the source. */
function listErrors() {
  const page = join(root, 'docs', 'errors.md')
  const text = readFileSync(page, 'utf8')
  const codes = [...readFileSync(join(root, 'src', 'errors.ts'), 'utf8').matchAll(documentedCode)]
  if (codes.length === 0) throw new Failure('the codes in src/errors.ts cannot be listed')
  const advice = readFileSync(join(root, 'docs', 'troubleshooting.md'), 'utf8')
  const without = codes.map(({ groups }) => groups?.code ?? '').filter(code => !advice.includes(`\`${code}\``))
  if (without.length > 0) throw new Failure(`docs/troubleshooting.md has no advice for ${without.join(', ')}`)
  const rows = codes.map(({ groups }) => `| \`${groups?.code}\` | ${groups?.meaning} |`)
  const table = ['| code | meaning |', '| --- | --- |', ...rows].join('\n')
  const updated = text.replace(/(<!-- codes -->).*(<!-- \/codes -->)/s, `$1\n\n${table}\n\n$2`)
  writeFileSync(page, updated)
  run(process.execPath, [
    join(root, 'node_modules', 'prettier', 'bin', 'prettier.cjs'),
    '--log-level=warn',
    '--write',
    page,
  ])
}

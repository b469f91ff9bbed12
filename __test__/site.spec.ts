import test from 'ava'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checked } from '../scripts/examples.mjs'
import { brokenLinks } from '../scripts/site/links.mjs'

/** What is broken in a site of these pages, by path. */
function broken(pages: Record<string, string>): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'codeslab-site-'))
  try {
    for (const [path, html] of Object.entries(pages)) {
      mkdirSync(join(folder, path, '..'), { recursive: true })
      writeFileSync(join(folder, path), html)
    }
    return brokenLinks(folder).broken
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('links of the site lead to pages, files and anchors that there are', t => {
  const pages = {
    'index.html': '<a href="guides/one.html#part">1</a> <a href="guides/">2</a> <a href="#here">3</a><p id="here">',
    'guides/index.html':
      '<a href="../index.html#here">up</a> <img src="../picture.svg" /> <a href="https://nodejs.org/">Node</a>',
    'guides/one.html': '<h2 id="part">Part &amp; parcel</h2><a href="one.html?a=1&amp;b=2#part">here</a>',
    'picture.svg': '<svg/>',
  }
  t.deepEqual(broken(pages), [])
})

test('a link that leads nowhere is named with its page and the reason', t => {
  const pages = {
    'index.html':
      '<a href="gone.html">1</a><a href="two.html#gone">2</a><a href="../out.html">3</a><img srcset="gone.svg" src="two.html">',
    'two.html':
      '<a href="/absolute">1</a> <a href="http://plain/">2</a><a id="x" href="#y">3</a><a href="file:///x">4</a>',
  }
  t.deepEqual(broken(pages), [
    'index.html: gone.html: there is no such file',
    'index.html: two.html#gone: there is no such anchor on that page',
    'index.html: ../out.html: leaves the site',
    'index.html: gone.svg: there is no such file',
    'two.html: /absolute: leaves the site',
    'two.html: http://plain/: is neither a page of the site nor https',
    'two.html: #y: there is no such anchor on that page',
    'two.html: file:///x: is neither a page of the site nor https',
  ])
})

test('what a script or a piece of text says is no link', t => {
  t.deepEqual(broken({ 'index.html': '<script>x = \'<a href="gone">\'</script> &lt;a href="gone"&gt;' }), [])
})

test('results that a guide shows are compared', t => {
  const program = [
    'add(40, 2) // 42',
    "name() // 'x', as ever",
    'const five = 5 // 5',
    'f() // see below',
    'g() // 8n',
  ].join('\n')
  const { text, results } = checked(program)
  t.is(results, 3)
  t.true(
    text.startsWith(
      "same(add(40, 2), 42) //\nsame(name(), 'x') //, as ever\nconst five = 5 // 5\nf() // see below\nsame(g(), 8n) //",
    ),
  )
})

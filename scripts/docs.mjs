// npm run docs: the API reference, in docs/api. A warning is an error.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ask, Failure, main, root, run } from './process.mjs'
import { pinnedNode, prepare } from './setup.mjs'

const printCodes = `
  const { codes } = await import('./src/errors.ts')
  console.log(JSON.stringify(codes))
`

await main(() => {
  prepare()
  listErrors()
  run(process.execPath, [join(root, 'node_modules', 'typedoc', 'bin', 'typedoc')])
  console.log('\nOpen docs/api/index.html.')
})

/** Brings the table of docs/errors.md up to date with the source. */
function listErrors() {
  const page = join(root, 'docs', 'errors.md')
  const text = readFileSync(page, 'utf8')
  const codes = ask(pinnedNode, ['--input-type=module', '--eval', printCodes])
  if (codes === undefined) throw new Failure('the codes in src/errors.ts cannot be listed')
  const rows = Object.entries(JSON.parse(codes)).map(([code, meaning]) => `| \`${code}\` | ${meaning} |`)
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

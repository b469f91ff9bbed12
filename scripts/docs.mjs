// npm run docs: the API reference, in docs/api. A warning is an error.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, main, root, run } from './process.mjs'
import { prepare } from './setup.mjs'

/** A code in src/errors.ts with the sentence above it. */
const documentedCode = /\/\*\* (?<meaning>.+) \*\/\s+\| '(?<code>ERR_CODESLAB_\w+)'/g

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
  const codes = [...readFileSync(join(root, 'src', 'errors.ts'), 'utf8').matchAll(documentedCode)]
  if (codes.length === 0) throw new Failure('the codes in src/errors.ts cannot be listed')
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

// npm run build:ts: compiles index.ts and src to dist, with declarations for `import` and for `require`.
//
// There is one JavaScript for both (Node has loaded ES modules with `require` since 20.19), so that a class is the same
// class however it was imported. TypeScript however reads `.d.ts` files of this package as ES modules and would forbid
// `require` of them; their twins `.d.cts` say the same for CommonJS.

import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { main, root, run } from './process.mjs'

const dist = join(root, 'dist')

await main(() => {
  rmSync(dist, { recursive: true, force: true })
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--project', 'tsconfig.build.json'])
  for (const path of declarations(dist)) {
    const text = readFileSync(path, 'utf8')
    writeFileSync(path, withExtension(text, 'js'))
    writeFileSync(path.replace(/\.ts$/, '.cts'), withExtension(text, 'cjs'))
  }
})

/**
 * @param {string} folder
 * @returns {string[]}
 */
function declarations(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.d.ts'))
    .map(name => join(folder, name))
}

/**
 * Relative imports name the files as they are in dist.
 *
 * @param {string} text
 * @param {string} extension
 */
function withExtension(text, extension) {
  return text.replace(
    /(\bfrom\s+|\bimport\(|\bimport\s+)(['"])(\.{1,2}\/[^'"]*?)\.(?:ts|js)\2/g,
    `$1$2$3.${extension}$2`,
  )
}

/**
 * What CONTRIBUTING.md and ARCHITECTURE.md say about the TypeScript files, measured with TypeScript's own parser.
 *
 * `import type` is left out of the order and of the circles: it is gone when the code runs, and a module beneath may know the
 * types of what the module above gives it.
 */

import test from 'ava'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import ts from 'typescript'

/** The order, from the top down: a file imports from its own room and those below it. */
const rooms = ['src/cli', '.', 'src', 'src/internal']

const longestFile = 500
const longestFunction = 70

const product = ['index.ts', ...typescriptIn('src')]
const all = [...product, ...typescriptIn('__test__'), ...typescriptIn('bench'), ...typescriptIn('examples')]

function typescriptIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))
  return names.map(name => join(folder, name)).filter(path => !path.includes('node_modules'))
}

function parse(text: string, path = 'text.ts'): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true)
}

/** The names of the modules that a file loads when it runs: with import, export from, or import(). */
function loadedModules(file: ts.SourceFile): string[] {
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    const specifier = loadedBy(node)
    if (specifier !== undefined && ts.isStringLiteralLike(specifier)) found.push(specifier.text)
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

/** `import { type T }` loads the module all the same, because TypeScript keeps what is not `import type` as it is. */
function loadedBy(node: ts.Node): ts.Expression | undefined {
  if (ts.isImportDeclaration(node)) return isOfTypes(node.importClause) ? undefined : node.moduleSpecifier
  if (ts.isExportDeclaration(node)) return node.isTypeOnly ? undefined : node.moduleSpecifier
  const isImportCall = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
  return isImportCall ? node.arguments[0] : undefined
}

function isOfTypes(clause: ts.ImportClause | undefined): boolean {
  return clause?.phaseModifier === ts.SyntaxKind.TypeKeyword
}

/** The files of the product that each of them loads. */
function arrows(): Map<string, string[]> {
  const target = (from: string, name: string) => normalize(join(dirname(from), name))
  const relative = (path: string) =>
    loadedModules(parse(readFileSync(path, 'utf8'))).filter(name => name.startsWith('.'))
  return new Map(product.map(path => [path, relative(path).map(name => target(path, name))]))
}

/** Files that lead back to the first of them, or nothing. */
function circle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const finished = new Set<string>()
  const search = (path: string, above: readonly string[]): string[] | undefined => {
    if (above.includes(path)) return [...above.slice(above.indexOf(path)), path]
    if (finished.has(path)) return undefined
    for (const next of graph.get(path) ?? []) {
      const found = search(next, [...above, path])
      if (found !== undefined) return found
    }
    finished.add(path)
    return undefined
  }
  for (const path of graph.keys()) {
    const found = search(path, [])
    if (found !== undefined) return found
  }
  return undefined
}

/** Each function, method and accessor with a body, by its name and its number of lines; comments before it do not count. */
function functionLengths(file: ts.SourceFile): { name: string; line: number; lines: number }[] {
  const found: { name: string; line: number; lines: number }[] = []
  const lineOf = (position: number) => file.getLineAndCharacterOfPosition(position).line
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      const first = lineOf(node.getStart(file))
      const name = node.name?.getText(file) ?? 'a function'
      found.push({ name, line: first + 1, lines: lineOf(node.end) - first + 1 })
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

test('the imports that run are told from those of types', t => {
  const text = `
    import './runs.ts'
    import * as all from './all.ts'
    import standard from './standard.ts'
    import { a, type B } from './mixed.ts'
    import type { C } from './types.ts'
    import { type D } from './loaded-for-nothing.ts'
    export { e } from './export.ts'
    export type { F } from './export-types.ts'
    export * from './star.ts'
    const later = () => import('./later.ts')
  `
  const names = ['runs', 'all', 'standard', 'mixed', 'loaded-for-nothing', 'export', 'star', 'later']
  t.deepEqual(
    loadedModules(parse(text)),
    names.map(name => `./${name}.ts`),
  )
})

test('a circle of imports is found, however long, and a diamond is none', t => {
  const long = new Map([
    ['top', ['a']],
    ['a', ['b']],
    ['b', ['c']],
    ['c', ['a']],
  ])
  t.deepEqual(circle(long), ['a', 'b', 'c', 'a'])
  const diamond = new Map([
    ['top', ['left', 'right']],
    ['left', ['bottom']],
    ['right', ['bottom']],
  ])
  t.is(circle(diamond), undefined)
})

test('the length of a function counts its own lines, also of those inside of it', t => {
  const text = `/** Says hello. */
function outer() {
  const inner = () => {
    return 1
  }
  return inner
}
`
  t.deepEqual(functionLengths(parse(text)), [
    { name: 'outer', line: 2, lines: 6 },
    { name: 'a function', line: 3, lines: 3 },
  ])
})

test('files import from their own room and those beneath: src/cli, index.ts, src, src/internal', t => {
  const graph = arrows()
  t.true([...graph.values()].flat().length > product.length, 'imports were read')
  for (const [path, targets] of graph) {
    const above = targets.filter(target => rooms.indexOf(dirname(target)) < rooms.indexOf(dirname(path)))
    t.deepEqual(above, [], `${path} imports from above`)
  }
})

test('every file of the product lies in a room of that order, and every import leads to such a file', t => {
  t.deepEqual(
    product.filter(path => !rooms.includes(dirname(path))),
    [],
  )
  const targets = new Set([...arrows().values()].flat())
  t.deepEqual(
    [...targets].filter(target => !product.includes(target)),
    [],
  )
})

test('index.ts exports from every module in src, and from none in src/internal', t => {
  const exported = parse(readFileSync('index.ts', 'utf8')).statements.flatMap(statement => {
    const specifier = ts.isExportDeclaration(statement) ? statement.moduleSpecifier : undefined
    return specifier !== undefined && ts.isStringLiteral(specifier) ? [normalize(specifier.text)] : []
  })
  const visible = product.filter(path => dirname(path) === 'src')
  t.deepEqual([...exported].sort(), visible.sort())
})

test('no import leads back to its file', t => {
  t.is(circle(arrows()), undefined)
})

test(`no file has more than ${String(longestFile)} lines`, t => {
  const lines = (path: string) => readFileSync(path, 'utf8').trimEnd().split('\n').length
  t.deepEqual(
    all.filter(path => lines(path) > longestFile),
    [],
  )
})

test(`no function has more than ${String(longestFunction)} lines`, t => {
  const long = all.flatMap(path => {
    const functions = functionLengths(parse(readFileSync(path, 'utf8'), path))
    return functions
      .filter(({ lines }) => lines > longestFunction)
      .map(({ name, line, lines }) => `${path}:${String(line)}: ${name} has ${String(lines)} lines`)
  })
  t.deepEqual(long, [])
})

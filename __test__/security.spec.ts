/** SECURITY.md: every sentence of it has a test, and every test that it names exists. */

import test from 'ava'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CodeMemory } from '../index.ts'
import { compile } from './helpers/compile.ts'
import { rowsOf, sentencesOf } from './helpers/promises.ts'

const heading = '## Which test shows each sentence'
const document = readFileSync(join(import.meta.dirname, '..', 'SECURITY.md'), 'utf8')
const [promises = ''] = document.split(`\n${heading}\n`)
const rows = rowsOf(document, heading)
const noPromise = 'advice, or no promise'

/** Rust sources by their paths in the repository. */
const rust = new Map(
  readdirSync('crates', { recursive: true, encoding: 'utf8' })
    .filter(path => path.endsWith('.rs'))
    .map(path => [path.replaceAll('\\', '/'), readFileSync(join('crates', path), 'utf8')]),
)

/** Whether there is a test, as SECURITY.md names it: `module::function`, or `file.spec.ts` and how its title begins. */
function exists(name: string): boolean {
  const [, quoted = '', rest = ''] = /^`([^`]+)`(.*)$/.exec(name) ?? []
  if (quoted.endsWith('.spec.ts')) {
    const title = rest.trim()
    const text = readFileSync(join('__test__', quoted), 'utf8')
    // It stands behind `test`, or at the beginning of a line if there is no room behind it.
    const isTitle = (line: string) => /test|^\s*['`]/.test(line) && line.includes(title)
    return title.length > 10 && text.split('\n').some(isTitle)
  }
  const [module = '', called = ''] = quoted.split('::')
  const files = [...rust].filter(([path]) => new RegExp(`/${module}(/mod)?\\.rs$`).test(path))
  return called !== '' && files.some(([, text]) => text.includes(`fn ${called}(`))
}

test('every sentence of SECURITY.md has a row, and every row a sentence', t => {
  const sentences = sentencesOf(promises)
  t.true(sentences.length > 60)
  const belongs = (sentence: string) => rows.filter(({ begins }) => sentence.startsWith(begins))
  t.deepEqual(
    sentences.filter(sentence => belongs(sentence).length !== 1),
    [],
  )
  t.deepEqual(
    rows.filter(({ begins }) => !sentences.some(sentence => sentence.startsWith(begins))),
    [],
  )
})

test('every test that SECURITY.md names exists', t => {
  const named = rows.flatMap(({ tests }) => tests).filter(name => name !== noPromise)
  t.true(named.length > 70)
  t.deepEqual(
    named.filter(name => !exists(name)),
    [],
  )
  const inText = [...promises.matchAll(/`[a-z_]+::[a-z_]+`/g)].map(([name]) => name)
  t.true(inText.length > 10)
  t.deepEqual(
    inText.filter(name => !exists(name)),
    [],
  )
})

test('a test that is made up is noticed, and so is a sentence without one', t => {
  t.true(exists('`faults::executing_freed_code_traps`'))
  t.false(exists('`faults::executing_freed_code_works`'))
  t.false(exists('`calls.spec.ts` no such title anywhere'))
  t.deepEqual(sentencesOf('# Title\n\n- **Name.** One thing.\n  Two (see `x.y()`). Three: `four`\n\n| a | table |'), [
    'One thing.',
    'Two (see `x.y()`).',
    'Three:',
    '`four`',
  ])
})

test('linked code does what the process may do, and nothing keeps it from that', t => {
  const getpid = process.platform === 'win32' ? 'GetCurrentProcessId' : 'getpid'
  const image = new CodeMemory().link(compile(`int ${getpid}(void); int who(void) { return ${getpid}(); }`))
  t.is(image.function('who', { return: 'int32' })(), process.pid)
})

test('guard pages lie between protections and not between allocations', t => {
  const memory = new CodeMemory({ guardPages: true })
  t.true(memory.guardPages)
  t.false(new CodeMemory().guardPages)
  const place = () => memory.allocate({ text: { protection: 'rx', size: 64 }, state: { protection: 'rw', size: 64 } })
  const [first, second] = [place(), place()]
  t.is(second.text.address - first.text.address, 64n)
  const page = BigInt(CodeMemory.capabilities().pageSize)
  const { blocks } = memory.layout()
  const slabs = blocks.flatMap(block => block.slabs).sort((a, b) => Number(a.address - b.address))
  t.is(slabs.length, 2)
  const [code, data] = slabs
  if (code === undefined || data === undefined) return t.fail()
  t.true(data.address - (code.address + BigInt(code.size)) >= page)
})

test('whether branches are guarded is told, and code runs either way', t => {
  const isArm = process.arch === 'arm64'
  const object = compile('int f(void) { return 7; }', ...(isArm ? ['-mbranch-protection=bti'] : []))
  const memory = new CodeMemory({ branchProtection: true })
  // On Arm it depends on processor and kernel.
  if (!isArm) t.false(memory.branchProtection)
  t.false(new CodeMemory().branchProtection)
  t.is(memory.link(object).function('f', { return: 'int32' })(), 7)
})

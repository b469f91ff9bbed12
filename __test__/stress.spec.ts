import test from 'ava'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { growth, type Sample } from './stress/samples.ts'

test('workers that place, call, free and forget at random, are terminated and fork, find everything as they left it', t => {
  t.timeout(600_000)
  const program = fileURLToPath(new URL('stress/main.ts', import.meta.url))
  const options = ['--minutes', '0.1', '--wave', '3', '--workers', '4']
  const run = spawnSync(process.execPath, ['--expose-gc', '--no-warnings', program, ...options], { encoding: 'utf8' })
  t.is(run.status, 0, run.stdout + run.stderr)
  t.regex(run.stdout, /^[1-9]\d* steps in \d+ waves, 0 failures$/m)
})

test('what grows from wave to wave is told from what only goes up and down', t => {
  const flat: Sample = { resident: 300, mappings: 500, descriptors: 30 }
  const samples = Array.from({ length: 40 }, (_, index) => ({ ...flat, resident: 300 + (index % 7) * 5 }))
  t.deepEqual(growth(samples), [])
  t.deepEqual(growth(samples.map((sample, index) => ({ ...sample, descriptors: 30 + index }))), [
    'descriptors: from 45 to 65',
  ])
  t.is(growth(samples.map((sample, index) => ({ ...sample, resident: 300 + index * 10 }))).length, 1)
  t.deepEqual(growth([flat, flat]), [])
})

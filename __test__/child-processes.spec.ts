import test from 'ava'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { CodeMemory } from '../index.ts'

test('processes may be started at every point of the life of an allocation, whatever the writer', t => {
  // Some forty processes, one after the other.
  t.timeout(600_000)
  const program = fileURLToPath(new URL('helpers/children.ts', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', program], { encoding: 'utf8' })
  const outcomes = stdout.split('\n').filter(Boolean)
  t.is(status, 0, stderr)
  t.is(outcomes.length, CodeMemory.capabilities().writers.length)
  for (const outcome of outcomes) t.regex(outcome, /\| (passes|impossible here: .+)$/)
})

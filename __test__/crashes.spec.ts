/** A worker that is terminated, code that is freed, callbacks that are disposed of and collections, at every point of a call. */

import test from 'ava'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { supportedNodes } from '../scripts/nodes.mjs'
import { compile } from './helpers/compile.ts'
import { isAlone } from './helpers/exceptions.ts'

const folder = mkdtempSync(join(tmpdir(), 'codeslab-crashes-'))
const [object, words] = [join(folder, 'object.o'), join(folder, 'words.o')]
test.after.always(() => {
  rmSync(folder, { recursive: true })
})
writeFileSync(words, compile('int entered, leave;'))
const source = `
  #include <stdint.h>
  #include "thread.h"
  extern volatile int entered, leave;
  struct pair { int64_t first; double second; int32_t third; };
  typedef int32_t next(int32_t);
  int32_t linger(void) { entered = 1; while (!leave) thread_rest(); return 7; }
  int32_t call_it(next *call, int32_t value) { return call(value) + 1; }
  struct pair turn_it(struct pair (*call)(struct pair), struct pair one) { return call(one); }
  struct job { next *call; int32_t value; };
  static void *run(void *job) { struct job *one = job; one->value = one->call(one->value); return 0; }
  int32_t call_elsewhere(next *call, int32_t value) {
    struct job job = { call, value };
    thread other;
    if (thread_start(&other, run, &job)) return -1;
    thread_join(&other);
    return job.value + 1;
  }
`
writeFileSync(object, compile(source))

const freed = 'ERR_CODESLAB_FREED'

/** How the call ends during which something happens, and the next one; 0 is what a callback gives that was disposed of before. */
const expected: Record<string, Record<string, string>> = {
  idle: { free: `${freed}, then ${freed}`, dispose: '1, then 7', close: '42, then 7', collect: '42, then 7' },
  native: { free: `7, then ${freed}`, collect: '7, then 7' },
  async: { free: `7, then ${freed}`, dispose: '7, then 7', close: '7, then 7', collect: '7, then 7' },
}
for (const point of ['callback', 'structure', 'nested', 'foreign']) {
  expected[point] = { free: `42, then ${freed}`, dispose: '42, then 7', close: '42, then 7', collect: '42, then 7' }
}

const start = promisify(execFile)
const program = join(import.meta.dirname, 'programs', 'crash-matrix.mjs')
const others = isAlone ? {} : supportedNodes()
const nodes: Record<string, string> = { 'that runs the tests': process.execPath, ...others }

for (const [name, node] of Object.entries(nodes)) {
  for (const fast of ['1', '0']) {
    test(`nothing crashes wherever a call is when what it stands on ends, with CODESLAB_FAST_CALLS=${fast}, on the Node ${name}`, async t => {
      t.timeout(240_000)
      const env = { ...process.env, NODE_OPTIONS: '', CODESLAB_FAST_CALLS: fast }
      const { stdout } = await start(node, ['--no-warnings', '--expose-gc', program, object, words], { env })
      const lines = Object.entries(expected).flatMap(([point, actions]) => [
        `${point} terminate: terminated`,
        ...Object.entries(actions).map(([action, outcome]) => `${point} ${action}: ${outcome}`),
      ])
      t.deepEqual(stdout.trimEnd().split('\n').sort(), [...lines, 'all given back'].sort())
    })
  }
}

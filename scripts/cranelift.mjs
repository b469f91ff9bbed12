// npm run test:cranelift: Cranelift on codeslab, and assemblers in Rust. They are a workspace of their own (`adapters/Cargo.toml` says why),
// so what the other checks do for the crates is done here: format, clippy, documents, tests.
//
// npm run test:cranelift -- --bench   what functions cost one by one, for the table in docs/embedding.md

import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ask, main, root, run, tee } from './process.mjs'
import { countSkips, rustCount, skippedInRust, sumUp } from './counting.mjs'

const cwd = join(root, 'adapters')

await main(async () => {
  const { values } = parseArgs({ options: { bench: { type: 'boolean', default: false } } })
  if (values.bench) {
    run('cargo', ['run', '--release', '--quiet', '--example', 'functions'], { cwd: join(cwd, 'cranelift') })
    return
  }
  const env = { ...process.env, CARGO_TERM_COLOR: 'never', ...countSkips() }
  run('cargo', ['fmt', '--all', '--check'], { cwd })
  run('cargo', ['clippy', '--workspace', '--all-targets', '--quiet', '--locked', '--', '-D', 'warnings'], { cwd })
  run('cargo', ['check', '--package', 'codeslab-cranelift', '--no-default-features', '--quiet', '--locked'], { cwd })
  const strict = { ...process.env, RUSTDOCFLAGS: '-D warnings' }
  run('cargo', ['doc', '--package', 'codeslab-cranelift', '--no-deps', '--quiet', '--locked'], { cwd, env: strict })
  const hasNextest = ask('cargo', ['nextest', '--version']) !== undefined
  const test = hasNextest ? ['nextest', 'run', '--status-level=fail'] : ['test', '--lib', '--tests', '--examples']
  const counts = []
  for (const args of [
    [...test, '--workspace', '--no-fail-fast', '--locked'],
    ['test', '--doc', '--package', 'codeslab-cranelift', '--locked'],
  ]) {
    const { ok, output } = await tee('cargo', args, { cwd, env })
    counts.push(rustCount(ok, output))
  }
  sumUp([...counts, skippedInRust()])
})

// npm run test:macos: the memory manager's tests with its port to macOS, on Linux. What stands for the kernel of macOS there
// (crates/codeslab/src/sys/macos/rehearsal) refuses what that refuses. Names of machines choose some: silicon, intel, hardened.

import { join } from 'node:path'
import { Failure, main, root, run } from './process.mjs'

const machines = ['silicon', 'intel', 'hardened']

await main(() => {
  const chosen = process.argv.length > 2 ? process.argv.slice(2) : machines
  for (const machine of chosen) {
    if (!machines.includes(machine)) throw new Failure(`no machine ${machine}, but: ${machines.join(', ')}`)
    console.log(`\nwith the port to macOS: ${machine}`)
    const env = {
      ...process.env,
      CARGO_TARGET_DIR: join(root, 'target', 'rehearsal'),
      CODESLAB_REHEARSAL: machine,
      RUSTFLAGS: '--cfg rehearsal',
    }
    run('cargo', ['test', '--package', 'codeslab', '--lib', '--test', 'it'], { env })
  }
})

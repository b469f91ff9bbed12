import { join } from 'node:path'
import { buildTests, withCompiler } from './cross.mjs'
import { prepareQemu, runInQemu } from './qemu.mjs'
const machine = await prepareQemu()
const toolchain = withCompiler('aarch64-unknown-linux-gnu', join(machine.tools, 'cc'))
for (const { program, folder } of buildTests(toolchain, ['codeslab', 'codeslab-link'])) {
  console.log(program)
  const { ok } = await runInQemu(machine, [program, 'guarded::'], { cwd: folder, env: { CARGO_MANIFEST_DIR: folder, RUST_BACKTRACE: '1' } })
  console.log(ok)
}

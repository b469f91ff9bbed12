// Whether the dynamic linker loads a shared library: node load.mjs LIBRARY. Node calls a loaded library that is no module of its own one
// that did not register itself.

import { constants } from 'node:os'

try {
  process.dlopen({ exports: {} }, process.argv[2] ?? '', constants.dlopen.RTLD_NOW)
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  if (!/did not self-register/.test(message)) {
    console.error(message)
    process.exitCode = 1
  }
}

// @ts-nocheck: it runs programs and prints a table; types would say nothing that its output does not.
// Whether the dynamic linker loads a shared library: node load.mjs LIBRARY. Node calls a loaded library that is no module of its own one
// that did not register itself.

import { constants } from 'node:os'

try {
  process.dlopen({ exports: {} }, process.argv[2], constants.dlopen.RTLD_NOW)
} catch (error) {
  process.exitCode = /did not self-register|napi/i.test(error.message) ? 0 : 1
}

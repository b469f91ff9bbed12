/**
 * Loads the native module, or says why there is none for this system: which system it is, which have one, and how to make one.
 *
 * The loader that napi-rs generates (`native.cjs`) tries every place where a binary may be, and blames npm when it finds none. What
 * TypeScript imports as `#native` is this file; it knows nothing of what the native module does.
 */
'use strict'

// Node finds the names of the exports in this line; what fails in it fails before anything else is loaded.
try {
  module.exports = require('./native.cjs')
} catch (error) {
  throw explain(error)
}

/** @param {unknown} cause */
function explain(cause) {
  const here = systemOf(process.platform, process.arch, cause)
  const there = binaries()
  const message = there.includes(here) ? notLoaded(here, there, cause) : noBinary(here, there)
  return Object.assign(new Error(message, { cause }), { code: 'ERR_CODESLAB_UNSUPPORTED_PLATFORM' })
}

/**
 * @param {string} here
 * @param {readonly string[]} there
 */
function noBinary(here, there) {
  const has = there.length === 0 ? 'none was packed' : `there are binaries for ${there.join(', ')}`
  return (
    `codeslab has no binary for this system, ${here} (Node ${process.versions.node}): ${has}. ` +
    'Use one of these systems, or build it: npm run build in a checkout of the source, with Rust and a C compiler; ' +
    'PORTING.md says what a new system takes'
  )
}

/**
 * The binary for this system is missing, or the system refuses to load it.
 *
 * @param {string} name
 * @param {readonly string[]} there
 * @param {unknown} cause
 */
function notLoaded(name, there, cause) {
  const refusal = refusalIn(cause)
  return refusal === undefined
    ? `the package codeslab-${name} with the binary for this system is not installed: it is an optional dependency, so install ` +
        `without --omit=optional and without a lock file from another system; in a checkout, run npm run build (there are packages for ${there.join(', ')})`
    : `the binary for this system, codeslab-${name}, cannot be loaded: ${refusal}. ` +
        'Install again, or build it here: npm run build in a checkout of the source, with Rust and a C compiler'
}

/**
 * What the system said of a binary that was found. The generated loader throws a chain of causes, one for each place that was tried,
 * without their codes; those of places where there is nothing all begin in the same way.
 *
 * @param {any} error
 * @returns {string | undefined}
 */
function refusalIn(error) {
  for (let each = error; each != null; each = each.cause) {
    const [said] = String(each.message).split('\n')
    if (!/^(Cannot find|Failed to load native|Unsupported)/.test(said)) return said
  }
  return undefined
}

/**
 * The name of the system's package, less what all have: such as `linux-x64-gnu`. It is the one that the generated loader asks for.
 *
 * @param {string} platform
 * @param {string} architecture
 * @param {unknown} cause
 */
function systemOf(platform, architecture, cause) {
  const system = `${platform}-${architecture}`
  if (platform === 'win32') return isMingw(architecture) ? `${system}-gnu` : `${system}-msvc`
  if (platform !== 'linux') return system
  return isGlibc(cause) ? `${system}-gnu` : `${system}-musl`
}

/**
 * Whether this is MSYS2's Node, for which the generated loader looks for another binary than for the official one.
 *
 * @param {string} architecture
 */
function isMingw(architecture) {
  const { shlib_suffix: suffix, node_target_type: type } = /** @type {any} */ (process.config?.variables ?? {})
  return architecture === 'x64' && (suffix === 'dll.a' || type === 'shared_library')
}

/**
 * Whether the C library is glibc: Node's report says its version, and where there is no report the places that were tried do.
 *
 * @param {any} cause
 */
function isGlibc(cause) {
  const { header } = report()
  if (header) return header.glibcVersionRuntime !== undefined
  for (let each = cause; each != null; each = each.cause) {
    if (/-musl\b/.test(String(each.message))) return false
  }
  return true
}

/** @returns {any} Node's report, or nothing where a runtime does not let us have it, as Deno without `--allow-sys`. */
function report() {
  try {
    return /** @type {any} */ (process.report)?.getReport() ?? {}
  } catch {
    return {}
  }
}

/** The systems with a binary: an installed package depends on theirs, a checkout builds them. */
function binaries() {
  const { napi, optionalDependencies = {} } = require('./package.json')
  const packed = Object.keys(optionalDependencies).map(name => name.replace(/^codeslab-/, ''))
  return packed.length > 0 ? packed : napi.targets.map(systemOfTarget)
}

/**
 * What Node calls the system that Rust calls so.
 *
 * @param {string} target
 */
function systemOfTarget(target) {
  const [architecture, , system, library] = target.split('-')
  const names = { x86_64: 'x64', aarch64: 'arm64', windows: 'win32' }
  const known = [system, architecture].map(name => names[name] ?? name)
  return [...known, ...(library === undefined ? [] : [library])].join('-')
}

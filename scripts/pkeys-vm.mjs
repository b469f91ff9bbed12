// npm run test:pkeys: the memory manager's tests on a processor with protection keys, which QEMU emulates. Boots a kernel of
// Debian's with the test binary as all there is, and sums up what it printed. Nothing is installed: packages are unpacked
// into target/pkeys-vm.

import { Buffer } from 'node:buffer'
import { mkdirSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { ask, Failure, main, root, run, tee } from './process.mjs'
import { archive, directory, file, device } from './initramfs.mjs'

/** Where everything is kept between runs. */
const folder = join(root, 'target', 'pkeys-vm')
/** Where packages are unpacked. */
const system = join(folder, 'root')

/** The tests that keys make a difference to. */
const tests = ['execution::', 'faults::', 'threads::', 'pkeys::']
/** The first process of the guest. */
const init = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
export PATH=/bin CODESLAB_TEST_ONLY=pkeys
grep -q ospke /proc/cpuinfo && echo the processor has protection keys
/it --color=never ${tests.join(' ')} 2>&1
poweroff -f
`
/** Longer than this, and something hangs. */
const timeoutSeconds = 170

await main(async () => {
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Failure('this needs Linux on x86-64')
  unpackPackages()
  const image = join(folder, 'initramfs')
  writeFileSync(image, archive(contents(buildTests())))
  const output = await boot(image)
  if (!output.includes('the processor has protection keys')) throw new Failure('the emulator offers no protection keys')
  const result = /^test result: \w+\. (?<passed>\d+) passed; (?<failed>\d+) failed; 0 ignored/m.exec(output)?.groups
  if (!result) throw new Failure('the tests did not run to the end')
  console.log(`\n${result.passed} passed, ${result.failed} failed`)
  if (result.failed !== '0') process.exitCode = 1
})

/** Brings emulator, kernel and shell; apt-get knows what the emulator needs that is not installed. */
function unpackPackages() {
  if (existsSync(join(folder, 'unpacked'))) return
  const archives = join(folder, 'archives')
  mkdirSync(join(archives, 'partial'), { recursive: true })
  mkdirSync(system, { recursive: true })
  const settings = [`Dir::Cache::archives=${archives}`, 'Debug::NoLocking=1', 'APT::Sandbox::User=root']
  const options = ['-qq', ...settings.flatMap(setting => ['-o', setting])]
  const download = ['install', '--download-only', '--yes', '--no-install-recommends', ...options, 'qemu-system-x86']
  if (ask('apt-get', download) === undefined) {
    run('apt-get', ['update', '-qq'])
    run('apt-get', download)
  }
  run('apt-get', ['download', ...options, kernelPackage(), 'busybox-static'], { cwd: archives })
  const packages = readdirSync(archives).filter(name => name.endsWith('.deb'))
  for (const name of packages) run('dpkg-deb', ['--extract', join(archives, name), system])
  writeFileSync(join(folder, 'unpacked'), '')
}

/** The newest kernel for virtual machines, which a package without content depends on: Debian's, or Ubuntu's. */
function kernelPackage() {
  const newest = ['linux-image-cloud-amd64', 'linux-image-virtual']
  const depends = newest.map(name => ask('apt-cache', ['depends', '--important', name]) ?? '').join('\n')
  const name = depends.match(/Depends: (?<name>linux-image-\S+)/)?.groups?.name
  if (!name) throw new Failure(`there is no package ${newest.join(' or ')}`)
  return name
}

/** Builds the tests and finds out what the binary is called. */
function buildTests() {
  const build = ['test', '--package', 'codeslab', '--test', 'it', '--no-run', '--message-format=json']
  const messages = ask('cargo', build)?.split('\n') ?? []
  const executables = messages.map(line => JSON.parse(line).executable).filter(Boolean)
  if (executables.length !== 1) throw new Failure('the tests do not build; see cargo test --package codeslab')
  return executables[0]
}

/**
 * What the guest's file system holds.
 *
 * @param {string} binary
 */
function contents(binary) {
  const lines = (ask('ldd', [binary]) ?? '').split('\n')
  const libraries = lines.map(line => /(\/\S+) \(0x/.exec(line)?.[1]).filter(path => path !== undefined)
  const folders = new Set(['dev', 'proc', 'bin', ...libraries.flatMap(parents)])
  return [
    ...[...folders].map(name => directory(name)),
    device('dev/console', 5, 1),
    device('dev/null', 1, 3),
    file('bin/busybox', readFileSync(found('bin/busybox'))),
    file('init', Buffer.from(init)),
    file('it', readFileSync(binary)),
    ...libraries.map(path => file(path.slice(1), readFileSync(path))),
  ]
}

/**
 * The folders that a file lies in, outermost first.
 *
 * @param {string} path
 * @returns {string[]}
 */
function parents(path) {
  const parent = dirname(path)
  return parent === '/' ? [] : [...parents(parent), parent.slice(1)]
}

/**
 * Boots the kernel, shows what it prints and returns it.
 *
 * @param {string} image
 */
async function boot(image) {
  const kernels = readdirSync(join(system, 'boot')).filter(name => name.startsWith('vmlinuz'))
  const libraries = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu'].map(path => join(system, path))
  const data = ['usr/share/qemu', 'usr/share/seabios'].flatMap(path => ['-L', join(system, path)])
  // Not KVM: the processor underneath may have no keys.
  const machine = '-accel tcg -cpu max -smp 2 -m 1G -nodefaults -no-reboot -display none'.split(' ')
  const kernel = ['-kernel', join(system, 'boot', kernels[0] ?? ''), '-initrd', image, '-serial', 'stdio']
  const command = ['-append', 'console=ttyS0 quiet panic=-1']
  const emulator = found('usr/bin/qemu-system-x86_64')
  const { ok, output } = await tee(
    'timeout',
    [String(timeoutSeconds), emulator, ...data, ...machine, ...kernel, ...command],
    { env: { ...process.env, LD_LIBRARY_PATH: libraries.join(':') } },
  )
  if (!ok) throw new Failure(`${basename(emulator)} failed, or took more than ${timeoutSeconds} s`)
  return output.replaceAll('\r', '')
}

/**
 * A file of the unpacked packages, or of an installed one.
 *
 * @param {string} path
 */
function found(path) {
  const candidates = [join(system, path), join('/', path)]
  const there = candidates.find(candidate => existsSync(candidate))
  if (!there) throw new Failure(`${path} is missing`)
  return there
}

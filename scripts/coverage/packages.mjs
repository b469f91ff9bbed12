// Debian's packages whose archives are linked: much used libraries, in C, C++, Fortran and assembler, old and new.

import { spawnSync } from 'node:child_process'

const packages = [
  'libssl-dev',
  'zlib1g-dev',
  'libzstd-dev',
  'liblzma-dev',
  'libbz2-dev',
  'liblz4-dev',
  'libbrotli-dev',
  'libsnappy-dev',
  'libgmp-dev',
  'libmpfr-dev',
  'libmpc-dev',
  'libgsl-dev',
  'libfftw3-dev',
  'libopenblas-dev',
  'liblapack-dev',
  'libblas-dev',
  'libgcrypt20-dev',
  'libgpg-error-dev',
  'libsodium-dev',
  'nettle-dev',
  'libtasn1-6-dev',
  'libmbedtls-dev',
  'libargon2-dev',
  'libluajit-5.1-dev',
  'liblua5.4-dev',
  'python3-dev',
  'libffi-dev',
  'libuv1-dev',
  'libev-dev',
  'libevent-dev',
  'libboost-all-dev',
  'libprotobuf-dev',
  'libre2-dev',
  'libabsl-dev',
  'libgtest-dev',
  'libbenchmark-dev',
  'libsqlite3-dev',
  'libxml2-dev',
  'libexpat1-dev',
  'libyaml-dev',
  'libjansson-dev',
  'libjson-c-dev',
  'libpcre2-dev',
  'libonig-dev',
  'libreadline-dev',
  'libncurses-dev',
  'libedit-dev',
  'libpng-dev',
  'libjpeg-dev',
  'libtiff-dev',
  'libwebp-dev',
  'libgif-dev',
  'libfreetype-dev',
  'libopus-dev',
  'libvorbis-dev',
  'libogg-dev',
  'libcurl4-openssl-dev',
  'libnghttp2-dev',
  'libssh2-1-dev',
  'libc-ares-dev',
  'libidn2-dev',
  'libunistring-dev',
  'libpsl-dev',
  'libelf-dev',
  'libdw-dev',
  'libcap-dev',
  'libseccomp-dev',
  'libnuma-dev',
  'libattr1-dev',
  'libacl1-dev',
  'uuid-dev',
  'libblkid-dev',
  'libhwloc-dev',
  'libtbb-dev',
  'libjemalloc-dev',
  'libunwind-dev',
  'libatomic-ops-dev',
  'libgc-dev',
  'llvm-dev',
  'musl-dev',
  'gfortran',
  'g++',
]

/** Installs what can be had, and nothing without the right to. */
export function installPackages() {
  if (process.getuid?.() !== 0 || !succeeds('apt-get', '--version')) return
  const known = missingPackages().filter(name => succeeds('apt-cache', 'show', name))
  const install = ['install', '-y', '--no-install-recommends']
  if (known.length === 0 || succeeds('apt-get', ...install, ...known)) return
  // One that cannot be had must not keep the others away.
  for (const name of known) succeeds('apt-get', ...install, name)
}

/** Those that are not installed. */
export function missingPackages() {
  const { stdout } = spawnSync('dpkg-query', ['--show', '--showformat=${db:Status-Status} ${Package}\\n'], {
    encoding: 'utf8',
  })
  const installed = new Set((stdout ?? '').split('\n').filter(line => line.startsWith('installed ')))
  return packages.filter(name => !installed.has(`installed ${name}`))
}

/**
 * @param {string} program
 * @param {string[]} args
 */
function succeeds(program, ...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync(program, args, { stdio: 'ignore', env }).status === 0
}

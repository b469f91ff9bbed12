// Debian's packages whose archives are linked: much used libraries, in C, C++, Fortran and assembler, old and new.

export const packages = [
  'libssl-dev', 'zlib1g-dev', 'libzstd-dev', 'liblzma-dev', 'libbz2-dev', 'liblz4-dev', 'libbrotli-dev', 'libsnappy-dev',
  'libgmp-dev', 'libmpfr-dev', 'libmpc-dev', 'libgsl-dev', 'libfftw3-dev', 'libopenblas-dev', 'liblapack-dev', 'libblas-dev',
  'libgcrypt20-dev', 'libgpg-error-dev', 'libsodium-dev', 'nettle-dev', 'libtasn1-6-dev', 'libmbedtls-dev', 'libargon2-dev',
  'libluajit-5.1-dev', 'liblua5.4-dev', 'python3-dev', 'libffi-dev', 'libuv1-dev', 'libev-dev', 'libevent-dev', 'libboost-all-dev',
  'libprotobuf-dev', 'libre2-dev', 'libabsl-dev', 'libgtest-dev', 'libbenchmark-dev', 'libsqlite3-dev', 'libxml2-dev', 'libexpat1-dev',
  'libyaml-dev', 'libjansson-dev', 'libjson-c-dev', 'libpcre2-dev', 'libonig-dev', 'libreadline-dev', 'libncurses-dev', 'libedit-dev',
  'libpng-dev', 'libjpeg-dev', 'libtiff-dev', 'libwebp-dev', 'libgif-dev', 'libfreetype-dev', 'libopus-dev', 'libvorbis-dev', 'libogg-dev',
  'libcurl4-openssl-dev', 'libnghttp2-dev', 'libssh2-1-dev', 'libcares-dev', 'libidn2-dev', 'libunistring-dev', 'libpsl-dev',
  'libelf-dev', 'libdw-dev', 'libcap-dev', 'libseccomp-dev', 'libnuma-dev', 'libattr1-dev', 'libacl1-dev', 'uuid-dev', 'libblkid-dev',
  'libhwloc-dev', 'libtbb-dev', 'libjemalloc-dev', 'libunwind-dev', 'libatomic-ops-dev', 'libgc-dev', 'llvm-dev', 'musl-dev', 'gfortran', 'g++',
]

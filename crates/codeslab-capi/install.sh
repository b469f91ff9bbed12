#!/bin/sh
# install.sh PREFIX [ARCHIVE]: the header, both libraries, and the files for pkg-config and CMake, for Linux.
# Without ARCHIVE, a static library that was built before, cargo builds it.
set -eu
prefix=${1:?usage: install.sh PREFIX [ARCHIVE]}
here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's/^#define CODESLAB_VERSION "\(.*\)"$/\1/p' "$here/include/codeslab.h")
series=${version%.*}
private='-lgcc_s -lpthread -ldl -lm -lc'

if [ $# -gt 1 ]; then
  archive=$2
else
  # This kind of library by itself: what else it can be, a crate for others, is not optimized across crates.
  (cd "$here" && cargo rustc --profile library --locked --package codeslab-capi --lib --crate-type staticlib)
  target=$(cd "$here" && cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
  archive=$target/library/libcodeslab_capi.a
fi

mkdir -p "$prefix/include/codeslab" "$prefix/lib/pkgconfig" "$prefix/lib/cmake/codeslab"
prefix=$(cd "$prefix" && pwd)
cp "$here/include/codeslab.h" "$prefix/include/"
cp "$archive" "$prefix/lib/libcodeslab.a"
# The adapters are headers, for those who have the other side.
for header in "$here"/../../adapters/*/include/codeslab/*.h; do
  [ ! -e "$header" ] || cp "$header" "$prefix/include/codeslab/"
done

# Made of the static library, because the linker script that rustc passes for a shared one leaves no room for versions.
${CC:-cc} -shared -o "$prefix/lib/libcodeslab.so.$version" -Wl,--soname,"libcodeslab.so.$series" \
  -Wl,--version-script,"$here/package/codeslab.map" -Wl,--no-undefined -Wl,-z,relro,-z,now \
  -Wl,--whole-archive "$archive" -Wl,--no-whole-archive -Wl,--gc-sections $private
ln -sf "libcodeslab.so.$version" "$prefix/lib/libcodeslab.so.$series"
ln -sf "libcodeslab.so.$series" "$prefix/lib/libcodeslab.so"

fill() {
  sed -e "s|@version@|$version|g" -e "s|@private@|$private|g" "$here/package/$1.in" >"$2/$1"
}
fill codeslab.pc "$prefix/lib/pkgconfig"
fill codeslab-config.cmake "$prefix/lib/cmake/codeslab"
fill codeslab-config-version.cmake "$prefix/lib/cmake/codeslab"

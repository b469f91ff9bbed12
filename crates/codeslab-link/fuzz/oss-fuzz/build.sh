#!/bin/bash -eu
# Builds every fuzz target the way OSS-Fuzz wants it: programs, seeds, dictionary and options in $OUT.
# $SRC has a checkout in `codeslab`; $SANITIZER is address, none or coverage. Fails if a target is missing.

cd "$SRC/codeslab/crates/codeslab-link/fuzz"

case "${SANITIZER:-address}" in
  address) sanitizer=address ;;
  none | coverage) sanitizer=none ;;
  *) echo "the targets are not built with the sanitizer $SANITIZER" >&2; exit 1 ;;
esac

# The image of OSS-Fuzz has one toolchain, a nightly; elsewhere it is chosen by name.
toolchain=()
rustc --version | grep -q nightly || toolchain=(+nightly)
cargo "${toolchain[@]}" fuzz build --sanitizer "$sanitizer" --debug-assertions

programs=${CARGO_TARGET_DIR:-target}/$(rustc -vV | sed -n 's/^host: //p')/release
for source in fuzz_targets/*.rs; do
  target=$(basename "$source" .rs)
  cp "$programs/$target" "$OUT/"
  cp dictionary.txt "$OUT/$target.dict"
  printf '[libfuzzer]\nmax_len = 8192\ntimeout = 20\n' > "$OUT/$target.options"
  python3 - "seeds/$target" "$OUT/${target}_seed_corpus.zip" <<'PYTHON'
import os, sys, zipfile
folder, archive = sys.argv[1:]
with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as seeds:
    for name in sorted(os.listdir(folder)):
        seeds.write(os.path.join(folder, name), name)
PYTHON
done

#!/bin/sh
# Builds the guest: guest/selur.wasm and its sha256, byte for byte the same on every machine with Debian 12's rustc 1.63.
#
#   guest/build.sh            builds and writes guest/selur.wasm and guest/selur.wasm.sha256
#   guest/build.sh --verify   builds elsewhere and compares with the committed bytes
#   guest/build.sh --output DIRECTORY   builds and writes there
#
# Needs Debian's packages rustc, cargo, libstd-rust-dev-wasm32 and lld-14 (apt-get install --no-install-recommends).
# Another compiler gives other bytes: SELUR_GUEST_TOOLS=DIRECTORY names where its cargo and rustc are.
set -eu

guest=$(cd "$(dirname "$0")" && pwd)
tools=${SELUR_GUEST_TOOLS:-/usr/bin}

output=$guest
verify=no
case "${1:-}" in
  "") ;;
  --verify) verify=yes ;;
  --output) output=$2 ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

for tool in cargo rustc; do
  [ -x "$tools/$tool" ] || {
    echo "guest/build.sh: $tools/$tool is missing. On Debian 12: apt-get install --no-install-recommends rustc cargo libstd-rust-dev-wasm32 lld-14" >&2
    exit 1
  }
done
if [ "$tools" = /usr/bin ] && [ ! -d /usr/lib/rustlib/wasm32-unknown-unknown ]; then
  echo "guest/build.sh: the wasm32 core library is missing. On Debian 12: apt-get install --no-install-recommends libstd-rust-dev-wasm32 lld-14" >&2
  exit 1
fi

# The sources are built in a directory of their own: Debian's cargo 1.65 cannot read the root's Cargo.toml, and no path of
# this machine can find its way into the bytes.
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT INT TERM
mkdir -p "$stage/crates" "$stage/guest"
for crate in selur-protocol selur-kernel; do
  mkdir "$stage/crates/$crate"
  cp -R "$guest/../crates/$crate/Cargo.toml" "$guest/../crates/$crate/src" "$stage/crates/$crate/"
done
cp -R "$guest/Cargo.toml" "$guest/Cargo.lock" "$guest/src" "$stage/guest/"

# 16 pages, minimum and maximum; a stack of 64 KiB that lies first, so that an overflow traps; no names, no paths.
flags="-Clink-arg=--initial-memory=1048576 -Clink-arg=--max-memory=1048576 -Clink-arg=-zstack-size=65536"
flags="$flags -Clink-arg=--strip-all -Cllvm-args=--disable-lsr -Ctarget-feature=+bulk-memory,+simd128 --remap-path-prefix=$stage=."
(
  cd "$stage/guest"
  unset RUSTC RUSTC_WRAPPER CARGO_BUILD_TARGET RUSTUP_TOOLCHAIN CARGO_ENCODED_RUSTFLAGS 2>/dev/null || true
  PATH="$tools:$PATH" RUSTFLAGS="$flags" CARGO_TARGET_DIR="$stage/target" \
    cargo build --quiet --release --locked --offline --target wasm32-unknown-unknown
)
built=$stage/target/wasm32-unknown-unknown/release/selur.wasm
sum=$(sha256sum "$built" | cut -d' ' -f1)

if [ "$verify" = yes ]; then
  if cmp -s "$built" "$guest/selur.wasm" && [ "$(cut -d' ' -f1 "$guest/selur.wasm.sha256")" = "$sum" ]; then
    echo "guest/selur.wasm is what the sources give: sha256 $sum"
  else
    echo "guest/selur.wasm is not what the sources give (they give sha256 $sum): run guest/build.sh and commit the result" >&2
    exit 1
  fi
else
  cp "$built" "$output/selur.wasm"
  echo "$sum  selur.wasm" > "$output/selur.wasm.sha256"
  echo "selur.wasm: $(wc -c < "$built") bytes, sha256 $sum"
fi

#!/usr/bin/env bash
# Builds a binary as it is released, and prints its path: it holds its C library, and no path of this machine.
#
#   binary.sh NAME [ARGUMENT of cargo]...
#
# Kept apart from the development build, in target/<triple>: neither makes the other build anew.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../tests/cluster/lib.sh"

name=$1
shift
cd "$REPO"
triple=$(rustc -vV | sed -n 's/^host: //p')
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
built=$REPO/target/$triple/release/$name
cargo rustc --locked --release --target "$triple" --bin "$name" "$@" \
  --config "target.$triple.rustflags=['-C', 'target-feature=+crt-static', '--remap-path-prefix=$registry=registry']" \
  -- -C link-arg=-Wl,-z,pack-relative-relocs >&2
! readelf --program-headers "$built" | grep -q INTERP || fail "$built is not static: it asks for a loader, which the image does not have"
printf '%s\n' "$built"

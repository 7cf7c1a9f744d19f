#!/usr/bin/env bash
# Builds the operator's image, without a container engine and without a registry.
#
# In:  Rust, a C compiler, mold; root for Debian's packages buildah and ca-certificates, where they are missing.
# Out: progress on stderr, the image's name as the last line of stdout, and in build/image:
#        saga-operator.tar        the image, an OCI archive
#        saga-operator.cdx.json   what the binary is made of (CycloneDX)
#        context/                 what the Dockerfile copies
#
# The same commit, toolchain and machine give the same bytes.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../tests/cluster/lib.sh"

IMAGE_DIR=$REPO/build/image
CONTEXT=$IMAGE_DIR/context
MAX_BYTES=25500000 # of all files of the image, unpacked
AUTHORITIES=/etc/ssl/certs/ca-certificates.crt

cd "$REPO"
export PATH=$TOOLS:$PATH
triple=$(rustc -vV | sed -n 's/^host: //p')
version=$(cargo pkgid --locked)
version=${version##*[@#]}
name=saga.dev/saga-operator:$version
# Not exported: C compilers of dependencies look at it, which would be built anew with every commit.
committed=$(git log -1 --format=%ct 2>/dev/null || echo 0)

binary() {
  local started=$SECONDS built
  say "building the release binary (some 6 minutes on two cores, once)"
  built=$("$REPO/image/binary.sh" saga-operator)
  "$built" --version >&2
  say "the binary is built: $((SECONDS - started)) s, $(stat -c %s "$built") bytes"
  install -D -m 755 "$built" "$CONTEXT/saga-operator"
}

# The public authorities, as this machine has them: Debian's package keeps them up to date.
authorities() {
  [[ -s $AUTHORITIES ]] || fail "$AUTHORITIES is missing: install the package ca-certificates"
  install -D -m 644 "$AUTHORITIES" "$CONTEXT/ca-certificates.crt"
}

# Written by cargo-cyclonedx beside Cargo.toml, one file for each binary.
bill_of_materials() {
  "$REPO/tests/cargo-tools.sh" cargo-cyclonedx
  trap 'rm -f "$REPO"/*_bin.cdx.json' RETURN
  SOURCE_DATE_EPOCH=$committed cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$triple" --describe binaries >&2
  mv saga-operator_bin.cdx.json "$IMAGE_DIR/saga-operator.cdx.json"
}

# store COMMAND ARGUMENT...: buildah, with what it keeps in a folder of ours.
store() {
  buildah --root "$IMAGE_DIR/store" --runroot "$IMAGE_DIR/store-run" --storage-driver vfs "$@"
}

# The archive says the image's name in both ways that are in use: Podman reads one, containerd and Docker the other.
archive() {
  local layout=$IMAGE_DIR/layout
  rm -rf "$layout" "$IMAGE_DIR"/store*
  trap 'rm -rf "$IMAGE_DIR"/{layout,store,store-run}' RETURN
  store build --quiet --isolation chroot --timestamp "$committed" --build-arg "VERSION=$version" --tag "$name" --file image/Dockerfile \
    "$CONTEXT" >&2
  store push --quiet "$name" "oci:$layout:$version" >&2
  sed -i "s|\"org.opencontainers.image.ref.name\":|\"io.containerd.image.name\":\"$name\",&|" "$layout/index.json"
  tar -C "$layout" --sort=name --mtime="@$committed" --owner=0 --group=0 --numeric-owner -cf "$IMAGE_DIR/saga-operator.tar.new" .
  mv "$IMAGE_DIR/saga-operator.tar.new" "$IMAGE_DIR/saga-operator.tar"
}

check_size() {
  local bytes
  bytes=$(cat "$CONTEXT"/* | wc -c)
  ((bytes <= MAX_BYTES)) || fail "the image's files have $bytes bytes, more than the $MAX_BYTES that are allowed: see what came in with 'cargo tree'"
  say "$name: $bytes bytes unpacked, $(stat -c %s "$IMAGE_DIR/saga-operator.tar") as $IMAGE_DIR/saga-operator.tar"
}

rm -rf "$CONTEXT"
mkdir -p "$CONTEXT"
install_packages buildah:buildah ca-certificates:update-ca-certificates
binary
authorities
bill_of_materials
archive
check_size
printf '%s\n' "$name"

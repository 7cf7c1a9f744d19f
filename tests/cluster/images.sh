#!/usr/bin/env bash
# Makes the images that the local cluster's pods run, out of the machine's own
# statically linked busybox, and gives them to the node.  No registry needed.
#
#   images.sh                  imports into the running local node
#   images.sh --archive FILE   only writes the example image's archive
#
# saga.dev/examples/busybox:1  every busybox command in /bin; user 65534
# saga.dev/pause:1             holds a pod's namespaces; asked for by containerd
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

busybox=$(command -v busybox) || fail "busybox is missing: install the package busybox-static"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# blob FILE: moves FILE into the archive's store; prints its descriptor's
# digest and size fields.
blob() {
  local digest size
  digest=$(sha256sum "$1" | cut -d' ' -f1)
  size=$(stat -c %s "$1")
  mkdir -p "$work/oci/blobs/sha256"
  mv "$1" "$work/oci/blobs/sha256/$digest"
  printf '"digest":"sha256:%s","size":%s' "$digest" "$size"
}

# The one layer, the same bytes every time.
layer() {
  local root=$work/root command
  mkdir -p "$root"/{bin,etc,home,tmp,usr}
  chmod 1777 "$root/tmp"
  ln -s ../bin "$root/usr/bin"
  install -m 755 "$busybox" "$root/bin/busybox"
  for command in $("$busybox" --list); do
    [[ $command == busybox ]] || ln -s busybox "$root/bin/$command"
  done
  printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
  tar -C "$root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$work/layer" .
}

# archive NAME COMMAND-JSON FILE: an image archive with that name and command.
archive() {
  local name=$1 command=$2 file=$3 architecture layer config manifest
  architecture=$(dpkg --print-architecture 2>/dev/null || echo amd64)
  rm -rf "$work/oci" && mkdir "$work/oci"
  cp "$work/layer" "$work/layer.copy"
  layer=$(blob "$work/layer.copy")
  printf '{"architecture":"%s","os":"linux","config":{"User":"65534:65534","Env":["PATH=/bin"],"Cmd":%s,"WorkingDir":"/"},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$architecture" "$command" "$(sha256sum "$work/layer" | cut -d' ' -f1)" >"$work/config"
  config=$(blob "$work/config")
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",%s}]}' \
    "$config" "$layer" >"$work/manifest"
  manifest=$(blob "$work/manifest")
  printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",%s,"annotations":{"io.containerd.image.name":"%s","org.opencontainers.image.ref.name":"%s"}}]}' \
    "$manifest" "$name" "${name##*:}" >"$work/oci/index.json"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$work/oci/oci-layout"
  tar -C "$work/oci" -cf "$file" .
}

layer
case ${1:-} in
  --archive) archive "$BUSYBOX_IMAGE" '["/bin/sh"]' "${2:?images.sh --archive FILE}" ;;
  '')
    archive "$SANDBOX_IMAGE" '["/bin/sleep","2147483647"]' "$work/sandbox.tar"
    load_image "$work/sandbox.tar"
    archive "$BUSYBOX_IMAGE" '["/bin/sh"]' "$work/busybox.tar"
    load_image "$work/busybox.tar"
    ;;
  *) fail "usage: images.sh [--archive FILE]" ;;
esac

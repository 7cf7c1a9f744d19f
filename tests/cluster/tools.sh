#!/usr/bin/env bash
# Installs what the local cluster (and the Rust build) needs on a fresh
# machine: a few Debian packages, and the Kubernetes tools, built from source
# at the versions of go.mod into build/tools.
#
# In:  Go (see go.mod for the version); root and apt-get for the packages.
# Out: build/tools; progress on stderr.  Done before: returns at once.
#
# Without root or apt-get the packages are left out with a word: the API server
# runs without most of them, the node does not.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Debian package and the command by which it is recognised.  mold is the
# linker of the Rust build; the others are for the cluster.
packages=(curl:curl openssl:openssl iproute2:ip nftables:nft runc:runc busybox-static:busybox mold:mold)

# What is built, out of the tools that go.mod pins.
tools=(
  go.etcd.io/etcd/server/v3
  k8s.io/kubernetes/cmd/kube-apiserver
  k8s.io/kubernetes/cmd/kube-controller-manager
  k8s.io/kubernetes/cmd/kube-scheduler
  k8s.io/kubernetes/cmd/kube-proxy
  k8s.io/kubernetes/cmd/kubelet
  k8s.io/kubernetes/cmd/kubectl
  github.com/containerd/containerd/v2/cmd/containerd
  github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2
  github.com/containerd/containerd/v2/cmd/ctr
  github.com/containernetworking/plugins/plugins/ipam/host-local
  github.com/containernetworking/plugins/plugins/main/bridge
  github.com/containernetworking/plugins/plugins/main/loopback
  helm.sh/helm/v4/cmd/helm
)

install_packages() {
  local pair missing=()
  for pair in "${packages[@]}"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair#*:}" >/dev/null || missing+=("${pair%:*}")
  done
  ((${#missing[@]})) || return 0
  if ! command -v apt-get >/dev/null; then
    say "there is no apt-get here: install ${missing[*]} yourself; going on without"
  elif ((EUID != 0)); then
    say "not root: run 'apt-get install ${missing[*]}' yourself; going on without"
  else
    say "installing the packages ${missing[*]}"
    mkdir -p "$REPO/build"
    { apt-get install -y --no-install-recommends "${missing[@]}" ||
      { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; }; } \
      </dev/null >"$REPO/build/packages.log" 2>&1 ||
      say "apt-get could not install ${missing[*]}, see $REPO/build/packages.log; going on without"
  fi
}

# What decides whether build/tools is up to date.
fingerprint() {
  { cat "$HERE/go.mod" "$HERE/go.sum" && printf '%s\n' "${tools[@]}"; } | sha256sum | cut -d' ' -f1
}

build_tools() {
  local log=$REPO/build/tools.log version label flags build total
  local started=$SECONDS last=$SECONDS begun
  command -v go >/dev/null || fail "Go is missing: install the version that tests/cluster/go.mod names, or a newer one"
  mkdir -p "$TOOLS"
  version=$(sed -n 's|^\(require \)\?[[:space:]]*k8s.io/kubernetes \(v[^ ]*\).*|\2|p' "$HERE/go.mod" | head -n 1)
  label=k8s.io/component-base/version
  flags="-s -w -X $label.gitVersion=$version -X $label.gitMajor=$(cut -dv -f2 <<<"${version%%.*}")"
  flags+=" -X $label.gitMinor=$(cut -d. -f2 <<<"$version")"

  export CGO_ENABLED=0 GOBIN=$TOOLS GOWORK=off
  say "building ${#tools[@]} tools with $(go env GOVERSION) (about 10 minutes on two cores, once); log: $log"
  cd "$HERE"
  say "fetching the modules"
  total=$(go list -deps "${tools[@]}" 2>"$log" | wc -l) || fail_build "$log"
  go install -v -ldflags "$flags" "${tools[@]}" >>"$log" 2>&1 &
  build=$!
  # shellcheck disable=SC2064 # the id of now
  trap "kill $build 2>/dev/null || true" EXIT
  begun=$(date +%s)
  while kill -0 "$build" 2>/dev/null; do
    sleep 1
    ((SECONDS - last >= 20)) || continue
    last=$SECONDS
    say "still building: $((SECONDS - started)) s, $(grep -cv ' ' "$log" || true) of at most $total packages compiled," \
      "$(find "$TOOLS" -type f -newermt "@$begun" | wc -l) tools done"
  done
  wait "$build" || fail_build "$log"
  trap - EXIT
  ln -sfn server "$TOOLS/etcd" # the name that etcd's module path gives it
  say "the tools are built: $((SECONDS - started)) s"
}

fail_build() {
  tail -n 15 "$1" >&2
  fail "the tools could not be built, see $1"
}

install_packages
stamp=$TOOLS/.stamp
wanted=$(fingerprint)
if [[ ! -e $stamp || $(<"$stamp") != "$wanted" ]]; then
  build_tools
  printf '%s\n' "$wanted" >"$stamp"
fi

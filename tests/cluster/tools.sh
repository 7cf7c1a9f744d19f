#!/usr/bin/env bash
# Installs what the local cluster (and the Rust build) needs on a fresh
# machine: a few Debian packages, and the Kubernetes tools, built from source
# at the versions of go.mod and dns/go.mod into build/tools.
#
#   tools.sh kwok   also kwok, which plays nodes and pods (kwok/go.mod)
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

# once STAMP COMMAND FILE...: runs COMMAND unless it ran before with these files and this list of tools.
once() {
  local stamp=$TOOLS/$1 command=$2 wanted
  shift 2
  wanted=$({ cat "$@" && printf '%s\n' "${tools[@]}"; } | sha256sum | cut -d' ' -f1)
  [[ ! -e $stamp || $(<"$stamp") != "$wanted" ]] || return 0
  "$command"
  printf '%s\n' "$wanted" >"$stamp"
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

# The name server: a module of its own, so that neither's dependencies decide over the other's.
build_dns() {
  local log=$REPO/build/dns.log started=$SECONDS
  say "building CoreDNS (about a minute, once); log: $log"
  (cd "$HERE/dns" && CGO_ENABLED=0 GOWORK=off go build -ldflags "-s -w" -o "$TOOLS/coredns" .) >"$log" 2>&1 || fail_build "$log"
  say "CoreDNS is built: $((SECONDS - started)) s"
}

# A module of its own for the same reason, and since only `make bench` needs it.
build_kwok() {
  local log=$REPO/build/kwok.log started=$SECONDS
  say "building kwok (some minutes, once); log: $log"
  (cd "$HERE/kwok" && CGO_ENABLED=0 GOWORK=off go build -ldflags "-s -w" -o "$TOOLS/kwok" sigs.k8s.io/kwok/cmd/kwok) >"$log" 2>&1 || fail_build "$log"
  say "kwok is built: $((SECONDS - started)) s"
}

fail_build() {
  tail -n 15 "$1" >&2
  fail "the tools could not be built, see $1"
}

install_packages "${packages[@]}"
once .stamp build_tools "$HERE/go.mod" "$HERE/go.sum"
once .stamp-dns build_dns "$HERE"/dns/{go.mod,go.sum,main.go}
[[ ${1:-} != kwok ]] || once .stamp-kwok build_kwok "$HERE"/kwok/go.{mod,sum}

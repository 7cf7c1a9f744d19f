#!/usr/bin/env bash
# Stops what up.sh started, whole or half, and leaves no process, mount,
# bridge, packet rule or cgroup behind.  Safe to run twice; takes some seconds at most.
# The cluster's data stays, so that the next up.sh goes on with it.
#
#   down.sh           stops
#   down.sh --purge   stops and deletes build/cluster
#
# NODE=0 as for up.sh: what a node leaves on the machine is not looked for.
# CLUSTER=kind deletes the kind cluster; CLUSTER=current stops nothing.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
  '' | --purge) ;;
  *) fail "usage: down.sh [--purge]" ;;
esac

down_local() {
  stop_daemons KILL node # its containers are in its process namespace: they go too
  stop_daemons TERM scheduler controller-manager
  stop_daemons TERM api-server
  stop_daemons TERM etcd
  ((EUID == 0)) && [[ ${NODE:-1} != 0 ]] || return 0
  ! any_node_runs || return 0 # that of another checkout: what follows is its

  remove_packet_rules
  # Of the node, all mounts and network namespaces went with its namespace.
  ! ip link show "$BRIDGE" >/dev/null 2>&1 || ip link delete "$BRIDGE"
  remove_cgroups
  rm -rf "$RUN_DIR"
  rmdir "${NODE_DIRS[@]}" 2>/dev/null || true # mount points; never anything with content
}

# kube-proxy leaves its rules behind when it ends, so that services stay; ours go last, since they tell whose kube-proxy it was.
remove_packet_rules() {
  local PATH=$PATH:/usr/sbin:/sbin table
  nft list table ip "$PACKET_RULES" >/dev/null 2>&1 || return 0
  for table in "ip kube-proxy" "ip6 kube-proxy" "ip $PACKET_RULES"; do
    # shellcheck disable=SC2086 # family and name
    ! nft list table $table >/dev/null 2>&1 || nft delete table $table
  done
}

# Retries: a cgroup can be removed when its last process is quite gone.
remove_cgroups() {
  local root deadline=$((SECONDS + 5))
  for root in /sys/fs/cgroup/"$CGROUP" /sys/fs/cgroup/*/"$CGROUP"; do
    until [[ ! -d $root ]] || find "$root" -depth -type d -exec rmdir {} + 2>/dev/null; do
      ((SECONDS < deadline)) || { say "left over: $root"; break; }
      sleep 0.1
    done
  done
}

down_kind() {
  ! command -v kind >/dev/null || kind delete cluster --name saga >&2
}

down_current() {
  say "CLUSTER=current: nothing to stop"
}

"down_$CLUSTER"
[[ ${1:-} != --purge ]] || rm -rf "$STATE"

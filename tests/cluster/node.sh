#!/usr/bin/env bash
# The cluster's one node: containerd and kubelet, for as long as both run.
#
# Started by up.sh as the first process of its own mount and process
# namespaces, so that nothing it mounts is seen outside and that killing it
# takes every container with it.  Not to be run by hand.
#
# In:  the certificates and kubeconfigs of certs.sh, the API server.
# Out: the node registers itself; logs in build/cluster/logs; returns only
#      (with a failure) when containerd or the kubelet ends.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[[ $$ == 1 ]] || fail "node.sh is started by up.sh, as the first process of a namespace"

node=$STATE/node-data
export PATH=$TOOLS:$PATH:/usr/sbin:/sbin

# Directories with a fixed place: ours over the machine's.
rm -rf "$RUN_DIR/containerd" "$RUN_DIR/cni"
for dir in "${NODE_DIRS[@]}"; do
  case $dir in
    /run/*) ours=$RUN_DIR/${dir#/run/} ;;
    *) ours=$node$dir ;;
  esac
  mkdir -p "$dir" "$ours"
  mount --bind "$ours" "$dir"
done

# Settings of the kernel that the kubelet and the bridge plugin would change
# for the whole machine: let them write to copies.
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
  kernel/keys/root_maxkeys kernel/keys/root_maxbytes net/ipv4/ip_forward; do
  [[ -e /proc/sys/$setting ]] || continue
  copy=$node/sysctl/${setting//\//.}
  mkdir -p "$node/sysctl"
  cat "/proc/sys/$setting" >"$copy"
  mount --bind "$copy" "/proc/sys/$setting"
done
mount --make-rshared / # for pods that ask for mount propagation

# A cgroup of our own, in each hierarchy (version 1) or the only one (version 2).
for root in /sys/fs/cgroup /sys/fs/cgroup/*; do
  [[ ! -e $root/cgroup.procs ]] || mkdir -p "$root/$CGROUP"
  [[ ! -e $root/cgroup.controllers || $root != /sys/fs/cgroup ]] || break
done

# The bridge is here before the first pod: its address is the node's.
ip link show "$BRIDGE" >/dev/null 2>&1 || ip link add "$BRIDGE" type bridge
ip address replace "$GATEWAY/${POD_SUBNET#*/}" dev "$BRIDGE"
ip link set "$BRIDGE" up

# render FILE TARGET: fills in the @NAMES@ of a file in config/.
render() {
  local name script=
  for name in STATE PKI TOOLS RUN_DIR BRIDGE GATEWAY POD_SUBNET CGROUP KUBELET_PORT SANDBOX_IMAGE; do
    script+="s|@$name@|${!name}|g;"
  done
  sed "$script" "$HERE/config/$1" >"$2"
}
mkdir -p "$node/cni"
render containerd.toml "$node/containerd.toml"
render cni.conflist "$node/cni/saga.conflist"
render kubelet.yaml "$node/kubelet.yaml"

containerd --config "$node/containerd.toml" >"$LOGS/containerd.log" 2>&1 &
containerd=$!
wait_ready containerd "$containerd" 30 ctr --address "$CONTAINERD_SOCKET" version
"$HERE/images.sh"

kubelet --config "$node/kubelet.yaml" --kubeconfig "$STATE/node.kubeconfig" \
  --hostname-override "$NODE_NAME" --node-ip "$GATEWAY" >"$LOGS/kubelet.log" 2>&1 &
kubelet=$!

wait -n "$containerd" "$kubelet" || true
kill -0 "$containerd" 2>/dev/null || fail_with_log containerd "containerd ended"
fail_with_log kubelet "the kubelet ended"

#!/usr/bin/env bash
# The cluster's one node: containerd, kubelet, kube-proxy and CoreDNS, for as long as all run.
#
# Started by up.sh as the first process of its own mount and process
# namespaces, so that nothing it mounts is seen outside and that killing it
# takes every container with it.  Not to be run by hand.
#
# In:  the certificates and kubeconfigs of certs.sh, the API server.
# Out: the node registers itself; logs in build/cluster/logs; returns only
#      (with a failure) when one of them ends.
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

# What comes from a pod for a service goes on to the pod that serves it, and
# no further. No pod is told a shorter way, on which the answer would not find
# back. A service's address is the node's affair, not that of the network around.
echo 1 >"/proc/sys/net/ipv4/conf/$BRIDGE/forwarding"
nft -f - <<NFT
table ip $PACKET_RULES {}
delete table ip $PACKET_RULES
table ip $PACKET_RULES {
  chain forward {
    type filter hook forward priority filter
    iifname "$BRIDGE" oifname != "$BRIDGE" drop
  }
  chain output {
    type filter hook output priority filter
    oifname "$BRIDGE" icmp type redirect drop
  }
}
NFT
ip route replace "$SERVICE_SUBNET" dev "$BRIDGE" src "$GATEWAY"

mkdir -p "$node/cni"
render cni.conflist >"$node/cni/saga.conflist"
for file in containerd.toml kubelet.yaml kube-proxy.yaml Corefile; do render "$file" >"$node/$file"; done

containerd --config "$node/containerd.toml" >"$LOGS/containerd.log" 2>&1 &
containerd=$!
wait_ready containerd "$containerd" 30 ctr --address "$CONTAINERD_SOCKET" version
"$HERE/images.sh"

kubelet --config "$node/kubelet.yaml" --kubeconfig "$STATE/node.kubeconfig" \
  --hostname-override "$NODE_NAME" --node-ip "$GATEWAY" >"$LOGS/kubelet.log" 2>&1 &
kubelet=$!

# It finds nft alone: with other commands it would tidy up after other kinds of
# kube-proxy, which may be at work on this machine.
mkdir -p "$node/proxy-bin"
ln -sfn "$(command -v nft)" "$node/proxy-bin/nft"
PATH=$node/proxy-bin "$TOOLS/kube-proxy" --config "$node/kube-proxy.yaml" >"$LOGS/kube-proxy.log" 2>&1 &
proxy=$!

coredns -conf "$node/Corefile" >"$LOGS/coredns.log" 2>&1 &
dns=$!

wait -n "$containerd" "$kubelet" "$proxy" "$dns" || true
kill -0 "$containerd" 2>/dev/null || fail_with_log containerd "containerd ended"
kill -0 "$kubelet" 2>/dev/null || fail_with_log kubelet "the kubelet ended"
kill -0 "$proxy" 2>/dev/null || fail_with_log kube-proxy "kube-proxy ended"
fail_with_log coredns "CoreDNS ended"

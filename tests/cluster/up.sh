#!/usr/bin/env bash
# Starts a Kubernetes cluster for the tests, unless it is running already.
#
# In (environment):
#   CLUSTER=local     etcd, API server, controller manager, scheduler and one
#                     node as processes of this machine (the default)
#   CLUSTER=kind      a kind cluster named "saga", made if it is not there
#   CLUSTER=current   whatever cluster kubectl points at now
#   NODE=0            local only: leave the node out on purpose
#   SAGA_CLUSTER_PORT local only: the API server's port (16443), the next
#                     eight are used too
#   SAGA_CLUSTER_STATE local only: where it keeps its files (build/cluster);
#                     with a port of its own and NODE=0, a cluster beside
#                     another one
#   HOST_ADDRESS      current only: where pods reach this machine
#
# Out: progress on stderr; the administrator's kubeconfig as the last line of
# stdout.  Beside that file:
#   node          "ready", or "absent: <reason>"
#   host-address  the address of this machine for pods, and for servers that
#                 run here (absent if unknown)
#   audit.log     local only: what the API server did, see config/audit-policy.yaml
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

main() {
  umask 022
  mkdir -p "$STATE" "$LOGS"
  exec 9>"$STATE/lock"
  if ! flock -n 9; then
    say "another up.sh is at work, waiting for it"
    flock -w 1800 9 || fail "the other up.sh did not end within 30 minutes"
  fi
  "up_$CLUSTER"
  printf '%s\n' "$KUBECONFIG_ADMIN"
}

up_local() {
  local reason
  "$HERE/tools.sh" 9>&-
  if control_plane_runs; then
    say "the control plane is running"
  else
    "$HERE/down.sh" 9>&- # leftovers of a cluster that broke or was killed
    start_control_plane
  fi
  if daemon_runs node && node_ready; then
    say "the node is running"
  elif reason=$(node_obstacle) && [[ -n $reason ]]; then
    say "no node, so pods will not run: $reason"
    printf 'absent: %s\n' "$reason" >"$STATE/node"
    echo 127.0.0.1 >"$STATE/host-address"
  else
    start_node
    echo ready >"$STATE/node"
    echo "$GATEWAY" >"$STATE/host-address"
  fi
}

control_plane_runs() {
  daemon_runs etcd && api_ready 2>/dev/null && healthy "$CONTROLLER_MANAGER_PORT" >/dev/null 2>&1
}

api_ready() { admin get --raw /readyz --request-timeout 3s >/dev/null; }

# healthy PORT: asks a component of this machine whether it is well.  (Anyone
# may ask; a user is named only because kubectl would prompt for one.)
healthy() {
  KUBECONFIG=/dev/null "$TOOLS/kubectl" --server "https://127.0.0.1:$1" --insecure-skip-tls-verify \
    --username anyone --password none get --raw /healthz --request-timeout 3s
}

start_control_plane() {
  local api controller_manager started=$SECONDS
  "$HERE/certs.sh" 9>&-
  : >"$STATE/audit.log"

  say "starting etcd and the API server on port $PORT"
  start_daemon etcd "$TOOLS/etcd" --name default --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls "http://127.0.0.1:$ETCD_PORT" --advertise-client-urls "http://127.0.0.1:$ETCD_PORT" \
    --listen-peer-urls "http://127.0.0.1:$ETCD_PEER_PORT" \
    --initial-advertise-peer-urls "http://127.0.0.1:$ETCD_PEER_PORT" \
    --initial-cluster "default=http://127.0.0.1:$ETCD_PEER_PORT"

  # Tests count the audit log's lines: each is written while its request is
  # served, not later in a batch, and the file never rotates.
  start_daemon api-server "$TOOLS/kube-apiserver" \
    --etcd-servers "http://127.0.0.1:$ETCD_PORT" \
    --bind-address 0.0.0.0 --secure-port "$PORT" --advertise-address "$GATEWAY" \
    --tls-cert-file "$PKI/api-server.crt" --tls-private-key-file "$PKI/api-server.key" \
    --client-ca-file "$PKI/ca.crt" \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged \
    --kubelet-client-certificate "$PKI/api-server-to-kubelet.crt" \
    --kubelet-client-key "$PKI/api-server-to-kubelet.key" \
    --kubelet-certificate-authority "$PKI/ca.crt" --kubelet-preferred-address-types InternalIP \
    --service-cluster-ip-range "$SERVICE_SUBNET" \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file "$PKI/service-account.pub" \
    --service-account-signing-key-file "$PKI/service-account.key" \
    --audit-policy-file "$HERE/config/audit-policy.yaml" --audit-log-path "$STATE/audit.log" \
    --audit-log-mode blocking --audit-log-maxsize 1000000
  api=$DAEMON_PID
  wait_ready api-server "$api" 60 api_ready

  say "starting the controller manager"
  start_daemon controller-manager "$TOOLS/kube-controller-manager" \
    --kubeconfig "$STATE/controller-manager.kubeconfig" --use-service-account-credentials \
    --bind-address 127.0.0.1 --secure-port "$CONTROLLER_MANAGER_PORT" --leader-elect=false \
    --root-ca-file "$PKI/ca.crt" --service-account-private-key-file "$PKI/service-account.key" \
    --cluster-signing-cert-file "$PKI/ca.crt" --cluster-signing-key-file "$PKI/ca.key" \
    --service-cluster-ip-range "$SERVICE_SUBNET" \
    --kube-api-qps 200 --kube-api-burst 400 --concurrent-namespace-syncs 20 \
    --flex-volume-plugin-dir "$STATE/volume-plugins"
  controller_manager=$DAEMON_PID
  wait_ready controller-manager "$controller_manager" 30 healthy "$CONTROLLER_MANAGER_PORT"
  wait_ready controller-manager "$controller_manager" 30 admin get serviceaccount default --namespace default
  say "the control plane is ready: $((SECONDS - started)) s"
}

# Prints what keeps a node from running here, or nothing.
node_obstacle() {
  local command PATH=$PATH:/usr/sbin:/sbin
  [[ ${NODE:-1} != 0 ]] || { echo "left out on purpose (NODE=0)"; return; }
  ((EUID == 0)) || { echo "it needs root"; return; }
  if ! daemon_runs node && any_node_runs; then
    echo "the node of another checkout is running"
    return
  fi
  for command in runc busybox ip nft unshare; do
    command -v "$command" >/dev/null ||
      { echo "the command $command is missing"; return; }
  done
  unshare --mount --pid --fork --mount-proc mount --make-rshared / 2>/dev/null ||
    { echo "namespaces and mounts are not allowed here"; return; }
  grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null ||
    { echo "the kernel has no overlay file system"; return; }
  ip link show "$BRIDGE" >/dev/null 2>&1 || ip link add "$BRIDGE" type bridge 2>/dev/null ||
    { echo "a network bridge cannot be made here"; return; }
  nft list tables >/dev/null 2>&1 || { echo "the kernel has no nftables for us"; return; }
  if nft list table ip kube-proxy >/dev/null 2>&1 && ! nft list table ip "$PACKET_RULES" >/dev/null 2>&1; then
    echo "another cluster's kube-proxy works on this machine"
    return
  fi
  cgroups_writable || { echo "cgroups cannot be made here"; return; }
}

# Version 2 has one hierarchy; version 1 several, the memory's among them.
cgroups_writable() {
  local root=/sys/fs/cgroup
  [[ -e $root/cgroup.controllers ]] || root=$root/memory
  mkdir -p "$root/$CGROUP" 2>/dev/null
}

start_node() {
  local scheduler started=$SECONDS
  stop_daemons KILL node # what is left of one that broke
  stop_daemons TERM scheduler
  say "starting the scheduler and the node"
  start_daemon scheduler "$TOOLS/kube-scheduler" --kubeconfig "$STATE/scheduler.kubeconfig" \
    --bind-address 127.0.0.1 --secure-port "$SCHEDULER_PORT" --leader-elect=false
  scheduler=$DAEMON_PID
  render dns.yaml | admin apply --filename - >"$LOGS/dns.yaml.log" 2>&1 || fail_with_log dns.yaml "the rights and the Service of the name server were refused"
  NODE_STARTED=$(date -u +%FT%TZ)
  start_daemon node unshare --mount --pid --fork --kill-child --mount-proc "$HERE/node.sh"
  wait_ready node "$DAEMON_PID" 90 node_ready
  wait_ready scheduler "$scheduler" 30 healthy "$SCHEDULER_PORT"
  say "the node is ready: $((SECONDS - started)) s"
}

# True when the node says it is ready, said so after it was started, takes pods, and its services can be reached and asked for by name.
node_ready() {
  local ready heartbeat taints
  curl -fsS --max-time 3 "http://127.0.0.1:$PROXY_PORT/healthz" >/dev/null || return
  curl -fsS --max-time 3 "http://127.0.0.1:$DNS_READY_PORT/ready" >/dev/null || return
  IFS='|' read -r ready heartbeat taints < <(admin get node "$NODE_NAME" --request-timeout 3s -o jsonpath='{range .status.conditions[?(@.type=="Ready")]}{.status}|{.lastHeartbeatTime}{end}|{.spec.taints}{"\n"}')
  [[ $ready == True && ! $heartbeat < ${NODE_STARTED:-} && -z $taints ]]
}

up_kind() {
  local archive
  command -v kind >/dev/null || fail "kind is not installed"
  if ! kind get clusters 2>/dev/null | grep -qx saga; then
    say "making the kind cluster saga"
    kind create cluster --name saga --wait 120s >&2 9>&-
  fi
  kind get kubeconfig --name saga >"$KUBECONFIG_ADMIN"
  archive=$(mktemp)
  "$HERE/images.sh" --archive "$archive"
  kind load image-archive "$archive" --name saga >&2
  rm -f "$archive"
  echo ready >"$STATE/node"
  docker network inspect kind --format '{{range .IPAM.Config}}{{.Gateway}}{{"\n"}}{{end}}' |
    grep -m 1 -F . >"$STATE/host-address" || rm -f "$STATE/host-address"
}

up_current() {
  local kubectl
  kubectl=$(command -v kubectl || echo "$TOOLS/kubectl")
  "$kubectl" config view --minify --flatten --raw >"$KUBECONFIG_ADMIN"
  "$kubectl" --kubeconfig "$KUBECONFIG_ADMIN" get --raw /readyz --request-timeout 10s >/dev/null ||
    fail "the cluster that kubectl points at does not answer"
  say "using the cluster at $("$kubectl" --kubeconfig "$KUBECONFIG_ADMIN" config view -o jsonpath='{.clusters[0].cluster.server}')"
  say "its nodes must be able to get $BUSYBOX_IMAGE (see images.sh --archive)"
  echo ready >"$STATE/node"
  rm -f "$STATE/host-address"
  [[ -z ${HOST_ADDRESS:-} ]] || echo "$HOST_ADDRESS" >"$STATE/host-address"
}

main

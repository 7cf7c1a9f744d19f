# shellcheck shell=bash
# What the scripts of this directory share: names, paths, messages, and how
# the cluster's processes are started and found again.  Sourced, never run.
#
# Every process of the cluster carries SAGA_CLUSTER_DAEMON=<state>:<name> in
# its environment.  That mark, not a file of process ids, says what belongs to
# the cluster: it cannot go stale, and it survives a killed up.sh.

# Names set here are for the scripts that source this file.
# shellcheck disable=SC2034

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
TOOLS=$REPO/build/tools

CLUSTER=${CLUSTER:-local} # local, kind or current
case $CLUSTER in
  local) STATE=${SAGA_CLUSTER_STATE:-$REPO/build/cluster} ;;
  kind | current) STATE=$REPO/build/cluster-$CLUSTER ;;
  *) echo "cluster: error: CLUSTER must be local, kind or current, not '$CLUSTER'" >&2; exit 2 ;;
esac

PKI=$STATE/pki
LOGS=$STATE/logs
KUBECONFIG_ADMIN=$STATE/admin.kubeconfig
RUN_DIR=/run/saga-cluster # sockets live here: their paths must stay short

# Ports: the API server's, and the following ones for the rest.
PORT=${SAGA_CLUSTER_PORT:-16443}
ETCD_PORT=$((PORT + 1))
ETCD_PEER_PORT=$((PORT + 2))
CONTROLLER_MANAGER_PORT=$((PORT + 3))
SCHEDULER_PORT=$((PORT + 4))
KUBELET_PORT=$((PORT + 5))
PROXY_PORT=$((PORT + 6))
PROXY_METRICS_PORT=$((PORT + 7))
DNS_READY_PORT=$((PORT + 8))

# The one node and its pod network.
NODE_NAME=saga
BRIDGE=saga0
POD_SUBNET=10.87.0.0/24
GATEWAY=10.87.0.1
SERVICE_SUBNET=10.96.0.0/16
SERVICE_API=10.96.0.1
SERVICE_DNS=10.96.0.10
CGROUP=saga-cluster
PACKET_RULES=saga-cluster # the table of our own rules; while it is there, kube-proxy's are ours, too
CONTAINERD_SOCKET=$RUN_DIR/containerd/containerd.sock
SANDBOX_IMAGE=saga.dev/pause:1
BUSYBOX_IMAGE=saga.dev/examples/busybox:1

# Directories whose place is built into the kubelet and containerd.  The node
# sees others in their stead (node.sh), these are only mount points.
NODE_DIRS=(/run/containerd /var/lib/cni /var/lib/kubelet /var/log/containers /var/log/pods)

say() { printf 'cluster: %s\n' "$*" >&2; }

fail() {
  say "error: $*"
  exit 1
}

# fail_with_log NAME MESSAGE: fails, showing the end of NAME's log.
fail_with_log() {
  say "the last lines of $LOGS/$1.log:"
  tail -n 15 "$LOGS/$1.log" >&2 || true
  fail "$2; see $LOGS/$1.log"
}

# install_packages PACKAGE:COMMAND...: installs those of Debian's packages whose command is missing, or says why not and goes on.
install_packages() {
  local pair missing=()
  for pair in "$@"; do
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

# render FILE: the text of a file in config/, the names between two @ replaced by what they stand for here.
render() {
  local name script=
  for name in $(grep -o '@[A-Z_]*@' "$HERE/config/$1" | tr -d @ | sort -u); do
    [[ ${!name-} ]] || fail "config/$1 names @$name@, which is not known here"
    script+="s|@$name@|${!name}|g;"
  done
  sed "$script" "$HERE/config/$1"
}

# start_daemon NAME COMMAND...: starts COMMAND so that it outlives this script.
# Its process id is in DAEMON_PID, its output in the log called NAME.
start_daemon() {
  local name=$1
  shift
  SAGA_CLUSTER_DAEMON=$STATE:$name setsid "$@" </dev/null >"$LOGS/$name.log" 2>&1 9>&- &
  DAEMON_PID=$!
}

# daemon_pids NAME: the ids of the processes that carry NAME's mark, one a line.
daemon_pids() {
  { grep -lzxF "SAGA_CLUSTER_DAEMON=$STATE:$1" /proc/[0-9]*/environ || true; } 2>/dev/null | cut -d/ -f3
}

daemon_runs() { [[ -n $(daemon_pids "$1") ]]; }

# True while a node of any checkout runs: a machine has room for one.
any_node_runs() { grep -qz '^SAGA_CLUSTER_DAEMON=.*:node$' /proc/[0-9]*/environ 2>/dev/null; }

# wait_ready NAME PID SECONDS COMMAND...: polls until COMMAND succeeds; fails
# when the process ends first or the time is over.
wait_ready() {
  local name=$1 pid=$2 seconds=$3 deadline=$((SECONDS + $3))
  shift 3
  until "$@" >/dev/null 2>&1; do
    kill -0 "$pid" 2>/dev/null || fail_with_log "$name" "$name ended before it was ready"
    ((SECONDS < deadline)) || fail_with_log "$name" "$name was not ready after $seconds s"
    sleep 0.2
  done
}

# The kubectl built by tools.sh, as the cluster's administrator.
admin() { "$TOOLS/kubectl" --kubeconfig "$KUBECONFIG_ADMIN" "$@"; }

# build_image: the operator's image as it is now; its name in OPERATOR_IMAGE, its archive in OPERATOR_ARCHIVE.
build_image() {
  OPERATOR_IMAGE=$("$REPO/image/build.sh" | tail -n 1)
  OPERATOR_ARCHIVE=$REPO/build/image/saga-operator.tar
}

# load_image ARCHIVE: gives the image of an OCI archive to the nodes, under the name that stands in the archive. Pods that ask for it need
# an imagePullPolicy of IfNotPresent or Never: no registry has it.
load_image() {
  case $CLUSTER in
    local)
      [[ -S $CONTAINERD_SOCKET ]] || fail "the node is not running: start it with tests/cluster/up.sh"
      "$TOOLS/ctr" --address "$CONTAINERD_SOCKET" --namespace k8s.io images import "$1" >&2
      ;;
    kind) kind load image-archive "$1" --name saga >&2 ;;
    current) fail "CLUSTER=current: push $1 to a registry that its nodes can reach" ;;
  esac
}

# stop_daemons SIGNAL NAME...: sends SIGNAL to all processes of these daemons,
# and KILL to those that are there 10 s later; returns when none is.
stop_daemons() {
  local signal=$1 name pids tries
  shift
  for ((tries = 0; tries < 150; tries++)); do
    pids=$(for name in "$@"; do daemon_pids "$name"; done)
    [[ -n $pids ]] || return 0
    ((tries > 0)) || say "stopping: $*"
    ((tries < 100)) || signal=KILL
    # Once with TERM; again and again with KILL, for those that were just forked.
    # shellcheck disable=SC2086
    [[ $tries != 0 && $signal != KILL ]] || kill "-$signal" $pids 2>/dev/null || true
    sleep 0.1
  done
  # shellcheck disable=SC2086
  fail "could not stop $* (processes ${pids//$'\n'/ })"
}

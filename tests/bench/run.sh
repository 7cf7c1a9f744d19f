#!/usr/bin/env bash
# Measures what a step costs, beside a controller that does the least: main.rs says what is measured, and what the environment may ask for.
#
# A control plane of its own, beside the cluster that may run: etcd, API server, controller manager, scheduler, and kwok, which plays the
# nodes and pods. The chart's policies are in force. The operator is the binary of the image, the floor is built as it is.
# In:  SAGA_BENCH_PORT     the API server's port (28443), the next eight are used too
#      SAGA_BENCH_PROFILE  release, or dev, which is built sooner: counts are the same, times and CPU mean nothing
# Out: on stdout a table, the last line `bench: N runs, N faults`; in build/bench result.json, and cluster/logs.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CLUSTER=local NODE=0 SAGA_CLUSTER_STATE=$PWD/build/bench/cluster SAGA_CLUSTER_PORT=${SAGA_BENCH_PORT:-28443}
. tests/demo/lib.sh
BENCH=$REPO/tests/bench

stop() {
  stop_daemons TERM kwok
  "$REPO/tests/cluster/down.sh" "$@"
}

# Without limits of their own: what is measured is the API server.
start_scheduler_and_kwok() {
  start_daemon scheduler "$TOOLS/kube-scheduler" --kubeconfig "$STATE/scheduler.kubeconfig" --bind-address 127.0.0.1 \
    --secure-port "$SCHEDULER_PORT" --leader-elect=false --kube-api-qps 5000 --kube-api-burst 10000
  start_daemon kwok "$TOOLS/kwok" --kubeconfig "$CLUSTER_KUBECONFIG" --config "$BENCH/stages.yaml" --manage-all-nodes
  kube wait --for condition=Ready node --all --timeout 60s >/dev/null || fail_with_log kwok "the nodes that kwok plays are not ready"
}

# The variables by which main.rs finds everything.
tell() {
  local name pids=()
  for name in etcd api-server controller-manager scheduler kwok; do pids+=("$name=$(daemon_pids "$name")"); done
  export SAGA_BENCH_PROCESSES="${pids[*]}" SAGA_BENCH_KUBECONFIG=$CLUSTER_KUBECONFIG SAGA_BENCH_AUDIT_LOG=$STATE/audit.log
  export SAGA_BENCH_LOGS=$LOGS SAGA_BENCH_RESULT=$REPO/build/bench/result.json
  export SAGA_BENCH_OURS_PROGRAM=$operator SAGA_BENCH_OURS_KUBECONFIG=$OPERATOR_KUBECONFIG
  export SAGA_BENCH_FLOOR_PROGRAM=$floor SAGA_BENCH_FLOOR_KUBECONFIG=$STATE/floor.kubeconfig
  SAGA_BENCH_COMMIT=$(git describe --always --dirty 2>/dev/null || echo unknown)
  export SAGA_BENCH_COMMIT
}

tests/cluster/tools.sh kwok
case ${SAGA_BENCH_PROFILE:-release} in
  release)
    say "building release binaries (some 8 minutes on two cores, once)"
    operator=$(image/binary.sh saga-operator)
    floor=$(image/binary.sh saga-bench-floor --features bench)
    ;;
  dev)
    cargo build --locked --features bench --bin saga-operator --bin saga-bench-floor
    operator=$REPO/target/debug/saga-operator floor=$REPO/target/debug/saga-bench-floor
    ;;
  *) fail "SAGA_BENCH_PROFILE must be release or dev" ;;
esac
cargo test --locked --no-run --test bench

stop --purge
trap stop EXIT
use_cluster
install_chart
kube apply --filename "$BENCH/cluster.yaml" >"$LOGS/cluster.yaml.log" 2>&1 || fail_with_log cluster.yaml "the bench's own objects were refused"
account_kubeconfig floor "$STATE/floor.kubeconfig"
start_scheduler_and_kwok
tell
cargo test --locked --quiet --test bench

# shellcheck shell=bash
# What the scripts of this directory share: the operator and the shop as processes of the host, beside the cluster. They carry the
# cluster's mark, so that they are found and stopped as its own are. Sourced, never run.
. "$(dirname "${BASH_SOURCE[0]}")/../cluster/lib.sh"

PATH=$TOOLS:$PATH
DEMO=$REPO/tests/demo
OPERATOR_KUBECONFIG=$STATE/operator.kubeconfig
SHOP_PORT=${SAGA_SHOP_PORT:-8090}
METRICS_PORT=${SAGA_METRICS_PORT:-18080}
HEALTH_PORT=${SAGA_HEALTH_PORT:-18081}
OPERATOR_NAMESPACE=saga-system

# kubectl and helm as the administrator of whichever cluster is used; CLUSTER_KUBECONFIG is set by use_cluster.
kube() { kubectl --kubeconfig "$CLUSTER_KUBECONFIG" "$@"; }

# Starts the cluster, or takes the one that is there.
use_cluster() {
  CLUSTER_KUBECONFIG=$("$REPO/tests/cluster/up.sh" | tail -n 1)
  NODE=$(cut -d: -f1 "$STATE/node" 2>/dev/null || echo ready)
  # In a cluster of others: where this machine is reached from outside, unless SAGA_HOST_ADDRESS says so.
  HOST_ADDRESS=$(cat "$STATE/host-address" 2>/dev/null || echo "${SAGA_HOST_ADDRESS:-$(hostname -I | cut -d' ' -f1)}")
  mkdir -p "$LOGS"
}

# install_chart ARGUMENT...: installs the CRD and the operator's rights, but no operator, and writes the kubeconfig of one that runs here: least
# rights, from the first day. No pod pulls the image, but the chart asks for its repository. Takes more arguments of Helm.
install_chart() {
  say "installing the chart"
  helm --kubeconfig "$CLUSTER_KUBECONFIG" upgrade --install saga-operator "$REPO/charts/saga-operator" \
    --namespace "$OPERATOR_NAMESPACE" --create-namespace --set replicas=0,image.repository=registry.example.com/saga-operator --wait "$@" >"$LOGS/helm.log" 2>&1 || fail_with_log helm "the chart could not be installed"
  kube wait --for condition=Established crd/sagas.saga.dev --timeout 30s >/dev/null
  account_kubeconfig saga-operator "$OPERATOR_KUBECONFIG"
}

# account_kubeconfig ACCOUNT FILE: writes the kubeconfig of an account of the operator's namespace.
account_kubeconfig() {
  local token
  token=$(kube create token "$1" --namespace "$OPERATOR_NAMESPACE" --duration 24h)
  kube config view --minify --flatten >"$2.new"
  KUBECONFIG=$2.new kubectl config set-credentials "$1" --token "$token" >/dev/null
  KUBECONFIG=$2.new kubectl config set-context --current --user "$1" --namespace "$OPERATOR_NAMESPACE" >/dev/null
  mv "$2.new" "$2"
}

# Starts the sample shop at the address at which both Pods and the operator reach it.
start_shop() {
  stop_daemons TERM shop
  start_daemon shop "$REPO/target/debug/examples/shop" --listen "$HOST_ADDRESS:$SHOP_PORT"
  wait_ready shop "$DAEMON_PID" 10 curl -fsS "http://$HOST_ADDRESS:$SHOP_PORT/healthz"
}

start_operator() {
  stop_daemons TERM operator
  # Without a node the shop listens where the API server does, too, which requests may not reach by themselves.
  local allowed=()
  [[ $HOST_ADDRESS != 127.* ]] || allowed=(--http-allow-cidrs "$HOST_ADDRESS/32")
  KUBECONFIG=$OPERATOR_KUBECONFIG start_daemon operator "$REPO/target/debug/saga-operator" run \
    --metrics-addr "127.0.0.1:$METRICS_PORT" --health-addr "127.0.0.1:$HEALTH_PORT" "${allowed[@]}"
  wait_ready operator "$DAEMON_PID" 30 curl -fsS "http://127.0.0.1:$HEALTH_PORT/readyz"
}

#!/usr/bin/env bash
# From nothing to sagas that run: builds, starts the cluster, the sample shop and the operator, and runs the examples.
# Out: progress on stderr; on stdout what happens to the sagas, then one line for each: NAME PHASE PROGRESS.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

say "building the operator and the sample shop"
(cd "$REPO" && cargo build --locked --bin saga-operator --example shop)
use_cluster
install_chart
start_shop
start_operator
say "the operator runs; its log is $LOGS/operator.log"
# The operator is a process of this machine: the Services of a cluster elsewhere are out of its reach, unless SERVICES=ready says otherwise.
[[ $CLUSTER == local ]] || SERVICES=${SERVICES:-absent}
KUBECONFIG=$CLUSTER_KUBECONFIG SHOP=$HOST_ADDRESS:$SHOP_PORT NODE=$NODE SERVICES=${SERVICES:-$NODE} "$DEMO/run.sh"

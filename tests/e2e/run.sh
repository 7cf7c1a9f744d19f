#!/usr/bin/env bash
# The operator as it is installed: its image, as a pod of a real node, by Helm; sagas that call Services by name; upgrades under load; what
# it may do against what it did; removal.
#
# Needs root, for the node. Takes the local cluster that is there, or starts one. SAGA_E2E_ACT=name,name plays these acts alone.
# Out: on stdout a line for each act, the last one `e2e: N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PWD/build/tools:$PATH
. tests/demo/lib.sh

tests/cluster/tools.sh
cargo build --locked --bin saga-operator --example shop
[[ $CLUSTER == local ]] || fail "CLUSTER=$CLUSTER: the audit log and the node's containers are needed, so it has to be the local cluster"
use_cluster
[[ $NODE == ready ]] || fail "there is no node, so nothing can be installed on it: $(cat "$STATE/node")"
build_image
load_image "$OPERATOR_ARCHIVE"
# One operator works: that of the image.
stop_daemons TERM operator
install_chart
start_shop
export SAGA_TEST_KUBECONFIG=$CLUSTER_KUBECONFIG SAGA_TEST_OPERATOR_KUBECONFIG=$OPERATOR_KUBECONFIG
export SAGA_TEST_HOST_ADDRESS=$HOST_ADDRESS SAGA_TEST_AUDIT_LOG=$STATE/audit.log
export SAGA_E2E_CONTAINERD=$CONTAINERD_SOCKET SAGA_E2E_IMAGE=$OPERATOR_IMAGE SAGA_E2E_SHOP=$HOST_ADDRESS:$SHOP_PORT
cargo test --locked --test e2e

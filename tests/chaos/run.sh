#!/usr/bin/env bash
# Runs the sweep of tests/chaos on the cluster that is there, or starts one. What it takes from the environment stands in
# tests/chaos/main.rs.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PWD/build/tools:$PATH
. tests/demo/lib.sh

tests/cluster/tools.sh
use_cluster
install_chart
export SAGA_TEST_KUBECONFIG=$CLUSTER_KUBECONFIG SAGA_TEST_OPERATOR_KUBECONFIG=$OPERATOR_KUBECONFIG
export SAGA_TEST_HOST_ADDRESS=$HOST_ADDRESS SAGA_TEST_NODE=$NODE
cargo build --locked --features twins --example faulty-operator
cargo test --locked --test chaos

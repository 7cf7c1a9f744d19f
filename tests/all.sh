#!/usr/bin/env bash
# All that a change has to pass, on a machine where nothing was installed by hand: format, lints, dependencies, tests without a cluster,
# tests on a real API server, and the examples end to end on a real node. Go is built before Rust, so that the two do not share the processors.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/build/tools:$PATH CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}

# How long each group of parts took, in seconds, in the order in which they began; the last line says so.
declare -A took=()
groups=() group='' began=0
account() {
  [[ -z $group ]] || took[$group]=$((${took[$group]:-0} + SECONDS - began))
  began=$SECONDS group=${1-}
  [[ -z $group || -n ${took[$group]+known} ]] || { groups+=("$group") && took[$group]=0; }
}
times() {
  account
  local text='' known
  for known in "${groups[@]}"; do text+="${text:+, }$known ${took[$known]} s"; done
  printf '%s' "$text"
}

# part GROUP NAME: what comes now, and where its time is counted.
part() {
  account "$1"
  printf '\n== %s (after %s s)\n' "$2" "$SECONDS"
}
finish() {
  local code=$?
  tests/demo/down.sh >/dev/null 2>&1 || true
  ((code == 0)) || printf '\nfailed after %s s: %s\n' "$SECONDS" "$(times)"
}
trap finish EXIT

part "tools" "tools"
tests/cluster/tools.sh

part "lints and Rust" "format, lints and dependencies"
tests/check.sh

part "lints and Rust" "tests without a cluster"
cargo test --locked --lib --bins --examples --test api --test engine --test plugin --test shop
cargo test --locked --test readme -- words:: reliability:: simulate:: an_ellipsis a_saga_may_have_been_tried

part "cluster and GitOps" "GitOps"
tests/gitops/run.sh

part "model" "the model"
tests/model/run.sh

part "lints and Rust" "the chart"
tests/chart/run.sh

part "cluster and GitOps" "tests on a real cluster"
cargo build --locked --bin saga-operator --example shop
# The operator as a later version might be, which some tests have work beside the present one.
cargo build --locked --features next --example next-operator
tests/demo/down.sh --purge
. tests/demo/lib.sh
use_cluster
# Tests that need a node are skipped, by name, only on a machine that cannot have one.
skip=()
if [[ $NODE != ready ]]; then
  ((EUID != 0)) || fail "this machine can run a node and does not: $(cat "$STATE/node")"
  skip=(--skip pods:: --skip jobs:: --skip crash:: --skip pair:: --skip counts::a_pod --skip lifecycle::pods_outlive)
  say "without a node these tests are skipped: ${skip[*]//--skip/}"
fi
# Without the policy that pins what is fixed: what the operator does where the definition's own rules let a change through is tested, too.
install_chart --set admission.pinned=false
export SAGA_TEST_KUBECONFIG=$CLUSTER_KUBECONFIG SAGA_TEST_OPERATOR_KUBECONFIG=$OPERATOR_KUBECONFIG
export SAGA_TEST_HOST_ADDRESS=$HOST_ADDRESS SAGA_TEST_AUDIT_LOG=$STATE/audit.log
cargo test --locked --test apiserver
# What hangs is named after a minute, and ends some time.
timeout 30m cargo test --locked --test operator -- --skip crash:: --skip pair:: --skip versions:: "${skip[@]}"
# By themselves: they keep the node busy, where other tests look at how long a container takes.
cargo test --locked --test operator -- crash:: pair:: "${skip[@]}"
# By themselves: with each change of the definition the API server ends the watches of all sagas, and so those of other tests.
timeout 15m cargo test --locked --test operator -- versions:: "${skip[@]}"

part "chaos" "chaos"
# All plans take too long for every change: a sample with one plan at least of each pair of a story and a fault.
SAGA_CHAOS_SAMPLE=${SAGA_CHAOS_SAMPLE:-500} tests/chaos/run.sh

part "end to end" "the examples end to end"
tests/demo/up.sh
if [[ $NODE = ready ]]; then
  part "end to end" "the tour of the README"
  KUBECONFIG=$CLUSTER_KUBECONFIG cargo test --locked --test readme -- tour::the_tour
fi

part "end to end" "the operator as it is installed, end to end"
if [[ $NODE = ready ]]; then
  tests/e2e/run.sh
else
  say "skipped: there is no node to install it on"
fi

times=$(times)
printf '\nall passed in %s s: %s\n' "$SECONDS" "$times"

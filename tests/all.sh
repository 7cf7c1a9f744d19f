#!/usr/bin/env bash
# All that a change has to pass, on a machine where nothing was installed by hand: format, lints, tests without a cluster, tests on a
# real API server, and the examples end to end on a real node. Go is built before Rust, so that the two do not share the processors.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/build/tools:$PATH CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}

part() { printf '\n== %s (after %s s)\n' "$*" "$SECONDS"; }
finish() {
  local code=$?
  tests/demo/down.sh >/dev/null 2>&1 || true
  ((code == 0)) || printf '\nfailed after %s s\n' "$SECONDS"
}
trap finish EXIT

part "tools"
tests/cluster/tools.sh

part "format and lints"
cargo fmt --check
cargo clippy --all-targets --locked -- -D warnings

part "tests without a cluster"
cargo test --locked --lib --bins --examples --test api --test engine --test shop

part "tests on a real cluster"
cargo build --locked --bin saga-operator --example shop
tests/demo/down.sh --purge
SAGA_TEST_KUBECONFIG=$(tests/cluster/up.sh | tail -n 1)
export SAGA_TEST_KUBECONFIG
cargo test --locked --test apiserver

part "the examples end to end"
tests/demo/up.sh

printf '\nall passed in %s s\n' "$SECONDS"

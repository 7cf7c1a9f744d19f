#!/usr/bin/env bash
# Runs the model of the engine, with what it takes as arguments in tests/model/main.rs. This crate is compiled once more for it: optimised,
# with the mutants, and without the rooms and the binary of the operator. The crates that it is linked with are those of every other test.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PWD/build/tools:$PATH
tests/cluster/tools.sh
optimised=(opt-level=2 codegen-units=16 incremental=false)
cargo test --locked "${optimised[@]/#/--config=profile.dev.package.saga-operator.}" --no-default-features \
  --features twins,operator-crates --test model -- "$@"

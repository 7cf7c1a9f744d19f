#!/usr/bin/env bash
# Runs the model of the engine, with what it takes as arguments in tests/model/main.rs. It is compiled by itself: optimised, and with the
# twins, which no other build has.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PWD/build/tools:$PATH
tests/cluster/tools.sh
cargo test --locked --profile model --features twins --test model -- "$@"

#!/usr/bin/env bash
# What can be said of a change without running it: format, lints with warnings denied, and what deny.toml says of the dependencies.
# `make audit` asks for their known vulnerabilities: the answer of that database depends on the day.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/build/tools:$PATH

cargo fmt --check
cargo clippy --all-targets --all-features --locked -- -D warnings
# The rooms that decide and the plugin need neither the operator nor its crates: see the feature `operator` in Cargo.toml.
cargo clippy --no-default-features --lib --bin kubectl-saga --locked -- -D warnings
tests/cargo-tools.sh cargo-deny
cargo deny --locked check bans licenses sources

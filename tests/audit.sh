#!/usr/bin/env bash
# Asks the RustSec advisory database for known vulnerabilities of the dependencies in Cargo.lock. deny.toml holds the rules.
# The answer depends on the day, so this check is a gate of its own and no part of `make check`: a build must not fail for a vulnerability
# that was published yesterday. Run it each day and before each release. It needs github.com, by the `git` of this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/build/tools:$PATH

tests/cargo-tools.sh cargo-deny
cargo deny --locked check advisories

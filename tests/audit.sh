#!/usr/bin/env bash
# Asks the RustSec advisory database for known vulnerabilities of the dependencies in Cargo.lock. deny.toml holds the rules.
# The answer depends on the day, so this check is a gate of its own and no part of `make check`: a build must not fail for a vulnerability
# that was published yesterday. Run it each day and before each release.
# In:  SAGA_ADVISORY_DB  a directory that holds a clone of the database; without it, cargo-deny fetches the database from github.com
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/build/tools:$PATH

tests/cargo-tools.sh cargo-deny
if [[ ${SAGA_ADVISORY_DB-} ]]; then
  config=$(mktemp)
  trap 'rm -f "$config"' EXIT
  sed "s|^\[advisories\]|&\ndb-urls = [\"file://$SAGA_ADVISORY_DB\"]|" deny.toml >"$config"
  cargo deny --locked --config "$config" check advisories
else
  cargo deny --locked check advisories
fi

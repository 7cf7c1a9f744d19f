#!/usr/bin/env bash
# Copies what the last runs of the model and of chaos left under build/ into docs/reliability.md.
set -euo pipefail
cd "$(dirname "$0")/.."
SAGA_WRITE_COUNTS=1 cargo test --locked --quiet --test readme -- reliability::the_page_about_reliability_has_counts
sed -n '/^<!-- counts/,/^<!-- end of counts/p' docs/reliability.md

#!/usr/bin/env bash
# Stops the operator, the sample shop and the cluster; leaves no process. Safe to run twice.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

stop_daemons TERM operator shop
exec "$REPO/tests/cluster/down.sh" "$@"

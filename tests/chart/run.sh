#!/usr/bin/env bash
# What the chart installs, without a cluster: Helm's lint, the schemas of Kubernetes (kubeconform), golden renders, rights, typos.
# With --update it writes golden/ anew first. Other arguments go to `go test`, such as `-run Rights`.
#
# Needs Go, and Helm in build/tools (tests/cluster/tools.sh). The schemas come out of the module that the local cluster is built from.
set -euo pipefail
cd "$(dirname "$0")"
export GOWORK=off GOFLAGS=-mod=readonly
if [[ ${1-} == --update ]]; then
  shift
  go test -run Golden . -update >/dev/null
fi
go vet ./...
# What is rendered depends on files that Go does not know of: no result is kept.
go test -count 1 . "$@"

#!/usr/bin/env bash
# What GitOps tools read of a saga: the real kstatus library, and Argo CD's scripts in a Lua machine. Needs Go and no cluster; what it
# downloads and builds is small, and is its own.
#
# SAGA_WRITE_GOLDEN=1 writes argocd/argocd-cm.yaml instead of comparing it.
set -euo pipefail
cd "$(dirname "$0")"
command -v go >/dev/null || { printf 'Go is missing: install the version that tests/gitops/go.mod names, or a newer one\n' >&2; exit 1; }
export CGO_ENABLED=0 GOWORK=off
test -z "$(gofmt -l .)" || { printf 'not formatted, run gofmt -w: %s\n' "$(gofmt -l .)" >&2; exit 1; }
go vet ./...
exec go test -count=1 ./... "$@"

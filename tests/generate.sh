#!/usr/bin/env bash
# Writes what is generated. A test compares it; nobody edits it.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --locked --quiet --bin saga-operator
target/debug/saga-operator crd >crds/sagas.yaml.new
mv crds/sagas.yaml.new crds/sagas.yaml
# A copy, since a chart is taken out of its repository, and not everybody who does that follows links: Flux does not.
cp crds/sagas.yaml charts/saga-operator/files/sagas.yaml
# The words about the chart's values, for its README and its schema.
(cd tests/chart && GOWORK=off go run ./generate ../../charts/saga-operator)
# The sagas that GitOps tools are shown, what the engine takes in each, and the scripts for Argo CD as one patch.
SAGA_WRITE_GOLDEN=1 cargo test --locked --quiet --test engine -- gitops::the_golden gitops::what_the_engine
SAGA_WRITE_GOLDEN=1 tests/gitops/run.sh -run TestThePatch

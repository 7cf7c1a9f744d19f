# The commands of this project; `make help` lists them. The recipes only call scripts and tools.
.DEFAULT_GOAL := help
SHELL := bash
export PATH := $(CURDIR)/build/tools:$(PATH)

##@ Use
.PHONY: run
run: tools ## Build, start a cluster, the operator and the sample shop, and run the examples
	tests/demo/up.sh

.PHONY: stop
stop: ## Stop everything that `make run` and `make cluster` started
	tests/demo/down.sh

.PHONY: cluster
cluster: tools ## Start the local cluster; the last line is the path of its kubeconfig
	@tests/cluster/up.sh

##@ Develop
.PHONY: build
build: tools ## Build the operator
	cargo build --bins

.PHONY: image
image: tools ## Build the operator's image, build/image/saga-operator.tar, and its bill of materials; prints its name
	@image/build.sh

.PHONY: generate
generate: ## Write the generated files: crds/, argocd/argocd-cm.yaml, the descriptions of the chart's values, golden sagas
	tests/generate.sh

.PHONY: fmt
fmt: ## Format the code
	cargo fmt

.PHONY: check
check: tools ## Check format, lints (warnings denied), and the licences and sources of dependencies
	tests/check.sh

.PHONY: audit
audit: tools ## Ask the RustSec database for known vulnerabilities of the dependencies; needs github.com
	tests/audit.sh

.PHONY: test-fast
test-fast: tools ## The quick Rust tests that need no cluster
	cargo test --locked --lib --bins --examples --test api --test engine --test plugin --test shop

.PHONY: test
test: ## Everything: installs what it needs, lints, all tests, the examples end to end
	tests/all.sh

.PHONY: model
model: ## Every world that small sagas can reach, then every mutant of the engine
	tests/model/run.sh

.PHONY: model-full
model-full: ## The same with four steps and more faults at once; takes ten times as long
	tests/model/run.sh --full

.PHONY: model-random
model-random: ## Large random sagas, one walk through each; SAGA_SEED=7 or small-7 prints one walk, move by move
	tests/model/run.sh --random

.PHONY: chaos
chaos: ## Fourteen stories, every fault at every call between the operator and the API server, on a real cluster
	tests/chaos/run.sh

.PHONY: reliability
reliability: ## Write the counts of the last model and chaos runs into docs/reliability.md
	tests/reliability.sh

.PHONY: bench
bench: ## What a step costs, compared with a controller that does the minimum: steps/s, calls, CPU, delay, memory
	tests/bench/run.sh

.PHONY: e2e
e2e: ## The installed operator: its image, Helm, Services by name, upgrades under load, rights, removal; needs root
	tests/e2e/run.sh

.PHONY: tools
tools: ## Install what the build and the tests need: Debian packages, the cluster's Go tools
	@tests/cluster/tools.sh

.PHONY: clean
clean: stop ## Stop everything and delete what was built
	rm -rf build target

.PHONY: help
help: ## List these commands
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' Makefile

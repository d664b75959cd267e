# CI (.ci/run) runs the same targets as people do. `make help` lists them.
.PHONY: help run run-anchored unit test test-long check advisories fmt fuzz golden bench contract-test gas-table crash-test failover-test soak image dist tools lint-tools clean

export CARGO_TERM_COLOR ?= auto

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: ## Serve examples/offers locally: no cluster, no chain
	cargo build --quiet --bin registrar
	@scripts/run-example

run-anchored: tools ## The same, with its agent registered on a local chain
	cargo build --quiet --bin registrar
	@scripts/run-anchored

unit: ## Unit tests, in seconds: no Go, Node, API server or EVM node
	cargo test --locked --lib

test: tools ## All tests, against a real API server, EVM node and SDK
	REGISTRAR_FULL_SEARCH=1 cargo test --locked
	scripts/check-repository

test-long: tools ## What make test leaves out: hours, with fresh seeds, which are printed
	REGISTRAR_LONG=1 cargo test --locked --test it packages::chart_identities::no_two -- --nocapture
	scripts/build-twice
	$(MAKE) crash-test HISTORIES=1000 SEED=$(SOAK_SEED)
	$(MAKE) failover-test HISTORIES=300 SEED=$(SOAK_SEED)
	$(MAKE) soak STEPS=10000
	$(MAKE) fuzz FUZZ=600

check: lint-tools ## Formatting and lints; licences, bans and sources of dependencies
	cargo fmt --check
	cd tests/kube-testd && gofmt -l . | (! grep .)
	shellcheck .ci/run scripts/* tests/kube-testd/build.sh
	scripts/lint-dockerfile
	scripts/lint-dependencies licenses bans sources
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --lib --no-default-features -- -D warnings

advisories: lint-tools ## Security advisories of dependencies; fetches their database from GitHub
	scripts/lint-dependencies advisories

fmt: ## Format the code
	cargo fmt
	cd tests/kube-testd && gofmt -w .

golden: ## Rewrite the golden documents and the generated parts of docs/; review the diff
	UPDATE_GOLDEN=1 cargo test --locked --lib -- golden generated

gas-table: tools ## Measure what each transaction costs; docs/gas.md has the same figures
	cargo test --locked --test it anchoring::gas -- --nocapture

# HISTORIES histories, with the seeds from SEED on.
HISTORIES ?= 300
SEED ?= 1
crash-test: tools ## Kill the anchoring process in random histories (HISTORIES=300 SEED=1)
	REGISTRAR_CRASH_HISTORIES=$(HISTORIES) REGISTRAR_CRASH_SEED=$(SEED) \
		cargo test --locked --test it crashes::whenever -- --nocapture

failover-test: tools ## Kill, freeze and cut off the leader of two replicas in random histories (HISTORIES=300 SEED=1)
	REGISTRAR_FAILOVER_HISTORIES=$(HISTORIES) REGISTRAR_FAILOVER_SEED=$(SEED) \
		cargo test --locked --test it failover::whatever -- --nocapture

# Seconds for each target.
FUZZ ?= 60
fuzz: ## Fuzz the readers of hostile text (FUZZ=60 seconds each)
	scripts/fuzz $(FUZZ)

# STEPS steps of a random history; the test prints its seed.
STEPS ?= 10000
SOAK_SEED ?= $(shell date +%s)
soak: ## Random faults between the process and its API server (STEPS=10000 SOAK_SEED=now)
	REGISTRAR_SOAK_STEPS=$(STEPS) REGISTRAR_SOAK_SEED=$(SOAK_SEED) \
		cargo test --locked --test it cluster::history -- --nocapture

# Words that select cases: rebuild, change, memory, drains.
CASES ?=
bench: ## Measure the release build (CASES=drains OFFERS=100000); docs/performance.md has the figures
	cargo build --locked --release --bin registrar --example bench
	$(or $(CARGO_TARGET_DIR),target)/release/examples/bench $(CASES)

# CASES requests for each operation.
CASES_EACH ?= 50
contract-test: ## Send what openapi.yaml allows and forbids, with Schemathesis (CASES_EACH=50)
	scripts/check-contract $(CASES_EACH)

image: ## Build the container image with docker, podman or buildah (PLATFORM=linux/arm64)
	scripts/build-image

dist: ## Pack a release with completions, manual pages, its bill of materials and checksums, into target/dist
	scripts/dist

tools: ## Install and build what the tests need
	scripts/install-tools

lint-tools: ## Install what the lints need
	scripts/install-lint-tools

clean: ## Remove build output
	cargo clean

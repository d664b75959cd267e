# What CI runs is what people run.
.PHONY: run run-anchored unit test check fmt golden gas-table image tools crash-test clean

export CARGO_TERM_COLOR ?= auto

# The main job on embedded defaults: no cluster, no chain.
run:
	cargo build --quiet --bin registrar
	@scripts/run-example

# The same, anchored on a local chain of its own. Needs the tools.
run-anchored: tools
	cargo build --quiet --bin registrar
	@scripts/run-anchored

# Tests of pure code, in seconds: no Go, Node, API server or EVM node.
unit:
	cargo test --locked --lib

# Everything that the tests need, then all tests.
test: tools
	REGISTRAR_FULL_SEARCH=1 cargo test --locked
	scripts/check-repository

# Formatting, lints, the licence and source rules.
check:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	shellcheck .ci/run scripts/* tests/kube-testd/build.sh
	scripts/lint-dockerfile
	cd tests/kube-testd && gofmt -l . | (! grep .)

fmt:
	cargo fmt
	cd tests/kube-testd && gofmt -w .

# Writes the golden documents again; review the diff like code.
golden:
	UPDATE_GOLDEN=1 cargo test --locked --lib golden

# What each transaction costs, measured on a local chain; docs/gas.md holds the same figures.
gas-table: tools
	cargo test --locked --test it anchoring::gas -- --nocapture

# The container image, where a builder exists.
image:
	scripts/build-image

# Installs and builds what the tests need; quick when it is there already.
tools:
	scripts/install-tools

clean:
	cargo clean

# Kills the anchoring process in HISTORIES histories, those of the seeds from SEED on.
HISTORIES ?= 300
SEED ?= 1
crash-test: tools
	REGISTRAR_CRASH_HISTORIES=$(HISTORIES) REGISTRAR_CRASH_SEED=$(SEED) \
		cargo test --locked --test it crashes::whenever -- --nocapture

# Every target installs what is missing first (.ci/setup; nothing to do on a machine that has it all).

export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)
# Outside the checkout, so that a fresh clone does not compile RocksDB again.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/signalstream/target

cargo_flags := --release --locked

.PHONY: help demo test parity chaos large-state fuzz bench bench-kafka lint setup setup-tests setup-bench

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## Build, then watch sample conversations become joined, redacted, summarised intelligence
	cargo run $(cargo_flags) --quiet -- demo $(ARGS)

test: setup-tests ## Run every test; ARGS='--lib window' runs some
	@bash .ci/test $(ARGS)

parity: setup-bench ## Run Kafka Streams itself over the scenarios of tests/parity, keep what it gives, compare; takes minutes
	UPDATE_GOLDENS=1 cargo test $(cargo_flags) --test parity -- --ignored --nocapture goldens
	cargo test $(cargo_flags) --test parity $(ARGS)

chaos: setup-tests ## Count a million records through crashes on a real Kafka; takes minutes
	cargo test $(cargo_flags) --test chaos -- --ignored --nocapture --test-threads 1 --skip gigabyte $(ARGS)

large-state: setup-tests ## Kill an instance with a gigabyte of state, and time its return; takes minutes
	cargo test $(cargo_flags) --test chaos gigabyte -- --ignored --nocapture $(ARGS)

fuzz: setup ## Fuzz each target of fuzz/ for ten minutes, or one: ARGS=expression; needs nightly Rust and cargo-fuzz
	@bash .ci/fuzz $(ARGS)

bench: setup ## Run the benchmarks; ARGS='--bench NAME' runs one
	cargo bench --locked $(ARGS)

bench-kafka: setup-bench ## Measure on a real Kafka, beside a bare copy and Kafka Streams; ARGS='--records N --rounds N'
	cargo bench --locked --bench kafka -- $(ARGS)

lint: setup ## Check formatting, lints, licences and advisories
	@bash .ci/lint

setup:
	@bash .ci/setup

setup-tests:
	@bash .ci/setup tests

setup-bench:
	@bash .ci/setup bench

# Everything that people and CI run. `make help` lists the targets from the comments behind them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

UI := collector/ui
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)
# Without a page (no Node) the programs build all the same; the collector then serves a line that says so.
HAVE_NODE := $(shell node -e 'process.exit(+process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null && echo yes)

help: ## what can be made
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## Debian packages that building and testing want, where root and apt are there
	@.ci/setup

demo: setup build ## both programs on a sample capture and on live traffic; ONCE=1 stops after the first answer
	@tests/demo.sh $(if $(ONCE),--once)

build: ui ## both programs in the dev profile, with the page in the collector
	cargo build --workspace --bins

release: ui ## both programs as they are shipped, in target/release
	cargo build --workspace --bins --release

ifeq ($(HAVE_NODE),yes)
ui: $(UI)/dist/index.html ## the page

$(UI)/node_modules: $(UI)/package-lock.json
	cd $(UI) && npm ci --no-fund --no-audit
	@touch $@

$(UI)/dist/index.html: $(UI)/node_modules $(UI)/index.html $(wildcard $(UI)/*.js) $(shell find $(UI)/src $(UI)/public -type f 2>/dev/null)
	cd $(UI) && npm run build
	@touch $@

test-ui: ui ## types, style and units of the page
	cd $(UI) && npm run check && npm run lint && npm test
else
ui test-ui:
	@echo "left out: the page needs Node 20 or newer (Debian: nodejs npm)"
endif

lint: ## formatting and clippy, warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings

fmt: ## puts the sources into shape
	cargo fmt --all

test: setup lint test-ui build test-rust ## everything that CI runs

test-rust: ## the Rust tests; what is left out says why in lines that begin with "skipped:"
	cargo test --workspace --doc --quiet
ifneq ($(NEXTEST),)
	FLOWGAUGE_BUILT=1 cargo nextest run --workspace --no-fail-fast --success-output final 2>&1 | .ci/quiet
else
	FLOWGAUGE_BUILT=1 cargo test --workspace --lib --bins --tests
endif

bench: ## figures beside peers, for docs/reference/performance.md
	cargo bench --workspace
	cargo build --workspace --bins --release
	tests/bench.sh

agreement: build ## flows beside what other meters and collectors make of the same captures, for docs/reference/agreement*.md
	python3 -B tests/agreement --write docs/reference/agreement.md
	tests/agreement-collector docs/reference/agreement-collector.md

FUZZ_SECONDS ?= 60
fuzz: ## every target in tests/fuzz by coverage, and IPFIX Messages mutated, for a minute each; FUZZ_SECONDS=n
	FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run
	SECONDS=$(FUZZ_SECONDS) cargo nextest run --release -p flowgauge-templates --run-ignored only fuzz

.PHONY: help setup demo build release ui test-ui lint fmt test test-rust bench agreement fuzz

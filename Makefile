# The commands of this project. Each runs setup.sh first, which is fast once everything is installed.
#
#   make run     build everything (release) and start the platform; pass options with ARGS="--listen ..."
#   make test    all tests: unit tests, integration tests on the real machine, end-to-end tests in a browser
#   make bench   benchmarks against nginx, HAProxy, Piku, bubblewrap, runc and rsyslog, and of the console; ARGS="router" runs one
#   make dev     run the development build, rebuilding and restarting on every change
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.SILENT:
.NOTPARALLEL:
export PATH := $(HOME)/.cargo/bin:$(PATH)
target := $(or $(CARGO_TARGET_DIR),target)
ARGS ?=
# The console build under test: dev rebuilds faster, release is what users get.
FRONT ?= dev

.PHONY: run build front front-dev dev test unit end2end bench fmt fmt-check lint doc setup setup-test

run: build
	exec $(target)/release/wharfd up $(ARGS)

# The library of the server does not contain the front end, so both are built side by side.
build: setup
	style/build.sh release & front=$$!
	trap 'kill $$front 2>/dev/null || true' EXIT
	cargo build --release -p server -p cli --lib --bin wharf
	wait $$front
	cargo build --release -p server -p cli

# The console's WASM, CSS and assets in target/site, which wharfd embeds.
front: setup
	style/build.sh release

front-dev: setup
	style/build.sh dev

# Dynos and data survive restarts of the platform.
dev: setup
	watched="app cli migrations public server style Cargo.toml"
	pid=
	trap '[ -z "$$pid" ] || kill $$pid 2>/dev/null || true; wait; exit 0' INT TERM
	while :; do
	  touch target/setup/seen
	  if style/build.sh dev && cargo build -p server -p cli; then
	    if [ -n "$$pid" ]; then kill $$pid 2>/dev/null || true; wait $$pid || true; fi
	    $(target)/debug/wharfd up --keep-dynos $(ARGS) & pid=$$!
	  fi
	  until [ -n "$$(find $$watched -name node_modules -prune -o -type f -newer target/setup/seen -print -quit)" ]; do sleep 0.3; done
	done

test: unit end2end

unit: setup-test
	style/build.sh $(FRONT)
	if cargo nextest --version >/dev/null 2>&1; then cargo nextest run; else cargo test; fi

end2end: setup-test
	style/build.sh $(FRONT)
	cargo build
	source target/setup/env
	cd end2end
	PATH="$$NODE_BIN:$$PATH" FRONT="$(FRONT)" CHROMIUM="$$CHROMIUM" WHARFD="$(abspath $(target))/debug/wharfd" \
	  node node_modules/.bin/playwright test $(ARGS)

# Results are written to bench/README.md. ARGS: names of benchmarks.
bench: export CHECK_SIZES = 1
bench: build
	export WHARFD="$(abspath $(target))/release/wharfd"
	bash bench/all.sh $(ARGS)

fmt:
	cargo fmt

fmt-check: setup-test
	cargo fmt --check

lint: setup-test
	style/build.sh $(FRONT)
	cargo clippy --all-targets -- -D warnings

doc: setup
	style/build.sh $(FRONT)
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

setup:
	./setup.sh

setup-test:
	./setup.sh test

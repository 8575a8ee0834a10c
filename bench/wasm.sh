#!/usr/bin/env bash
# The WASM that each page of the console loads. WHARFD may be any build that serves the release console.
set -euo pipefail
cd "$(dirname "$0")/.."
./setup.sh test
source target/setup/env
PATH="$NODE_BIN:$PATH" CHROMIUM="$CHROMIUM" node bench/wasm.mjs

#!/usr/bin/env bash
# The cost of sampling the metrics of a hundred dynos. Needs the release build.
set -euo pipefail
cd "$(dirname "$0")/.."
./setup.sh test
source target/setup/env
PATH="$NODE_BIN:$PATH" CHROMIUM="$CHROMIUM" node bench/sampling.mjs

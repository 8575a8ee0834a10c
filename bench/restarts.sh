#!/usr/bin/env bash
# Restarts of an app while a slug of another one is unpacked. Needs the release build.
#   bench/restarts.sh [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/.."
./setup.sh test
source target/setup/env
PATH="$NODE_BIN:$PATH" node bench/restarts.mjs "$@"

#!/usr/bin/env bash
# Requests lost while dynos are stopped. Needs the release build.
#   bench/scaling.sh [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/.."
./setup.sh test
source target/setup/env
PATH="$NODE_BIN:$PATH" node bench/scaling.mjs "$@"

#!/usr/bin/env bash
# A push of a static site against git alone, and of a Node.js app. Needs the release build.
#   bench/push.sh [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/.."
./setup.sh test
source target/setup/env
PATH="$NODE_BIN:$PATH"
node bench/push.mjs "$@"
node bench/push-node.mjs "$@"

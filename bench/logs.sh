#!/usr/bin/env bash
# A log flood of 5,000 lines a second on the page for five minutes; LENGTH=60 is enough for a quick look. Needs the release build. Monitors the machine with python3, as root.
set -euo pipefail
cd "$(dirname "$0")/.."
./setup.sh test
source target/setup/env
PATH="$NODE_BIN:$PATH" CHROMIUM="$CHROMIUM" node bench/logs.mjs

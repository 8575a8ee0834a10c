#!/usr/bin/env bash
# Pages rendered at 50 requests a second with 100 apps, and interactive in a browser. Needs the release build. Monitors the machine with python3, as root.
set -euo pipefail
cd "$(dirname "$0")/.."
./setup.sh test
source target/setup/env
PATH="$NODE_BIN:$PATH" CHROMIUM="$CHROMIUM" node bench/pages.mjs

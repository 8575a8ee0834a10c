#!/usr/bin/env bash
# Requests while dynos are stopped, against nginx that is reloaded. Needs the release build, nginx and python3 (Debian:
# apt-get install nginx-light python3).
#   bench/scaling.sh [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/.."
./setup.sh test
source target/setup/env
PATH="$NODE_BIN:$PATH" node bench/scaling.mjs "$@"

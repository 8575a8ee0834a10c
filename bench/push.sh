#!/usr/bin/env bash
# Pushes of a static site and of a Node.js app against Piku, and of the site against git alone. Needs the release build.
# Piku is cloned from GitHub, or is in PIKU_DIR; it needs root, ports 80 and 443 of 127.0.0.2, and Debian packages: apt-get
# install nginx-light uwsgi-core openssl python3-click npm.
#   bench/push.sh [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/.."
./setup.sh test
source target/setup/env
PATH="$NODE_BIN:$PATH"
node bench/push.mjs "$@"
node bench/push-node.mjs "$@"

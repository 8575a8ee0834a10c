#!/usr/bin/env bash
# Builds the browser's files: `style/build.sh release` (small) or `style/build.sh dev` (fast).
#
# Rust -> WASM -> wasm-split-cli (a file per bundle of pages, and files shared by bundles) ->
# wasm-bindgen -> binaryen, CSS through Tailwind, then pack.mjs names the files by their hash,
# compresses them and writes target/site, which `wharfd` embeds.
# Both kinds are cached in target/front; if no input has changed this does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-release}
case $kind in
  release) profile=wasm-release folder=wasm-release ;;
  dev) profile=wasm-dev folder=wasm-dev ;;
  *) echo "style/build.sh: unknown argument '$kind'. Usage: style/build.sh [release|dev]" >&2; exit 2 ;;
esac
[ -f target/setup/env ] || { echo "style/build.sh: run ./setup.sh first." >&2; exit 1; }
# Written by setup.sh: WASM_BIN, WASM_RUSTC_VERSION, FRONT_TOOLS.
. target/setup/env

site=target/front/site-$kind
mkdir -p target/front
exec 9>target/front/lock
flock 9

inputs=$(
  {
    echo "$kind $WASM_RUSTC_VERSION"
    find app server/api style public Cargo.toml Cargo.lock .cargo/config.toml \
      -name node_modules -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
  } | sha256sum | cut -c1-16
)

# Copies a finished site to where the server embeds it. Timestamps are preserved, so Cargo sees no change.
publish() {
  if [ "$(cat target/site/.inputs 2>/dev/null)" != "$inputs" ]; then
    rm -rf target/site.new
    cp -a "$site" target/site.new
    rm -rf target/site
    mv -T target/site.new target/site
  fi
}

if [ "$(cat "$site/.inputs" 2>/dev/null)" = "$inputs" ]; then
  publish
  exit 0
fi

say() { printf '==> console: %s\n' "$*" >&2; }
raw=target/front/raw-$kind
rm -rf "$raw"
mkdir -p "$raw"

say "compiling to WASM ($profile)"
# Panic messages contain source paths; remove the prefix of this machine from them.
crates="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src/="
PATH="$WASM_BIN:$PATH" RUSTC="$WASM_BIN/rustc" "$WASM_BIN/cargo" build -p browser \
  --config "target.wasm32-unknown-unknown.rustflags=[\"$crates\"]" \
  --profile "$profile" --target wasm32-unknown-unknown --target-dir target/front
wasm=target/front/wasm32-unknown-unknown/$folder/browser.wasm

say "splitting the WASM"
node style/shrink.mjs "$wasm" "$raw/whole.wasm"
"$FRONT_TOOLS" split "$raw/whole.wasm" "$raw"
rm "$raw/whole.wasm"

say "generating the JavaScript bindings"
"$FRONT_TOOLS" bind "$raw/console.wasm" "$raw"
rm "$raw/console.wasm"
node style/shorten.mjs "$raw"

if [ "$kind" = release ]; then
  say "optimizing the WASM (two minutes)"
  # Largest first.
  { printf '%s\0' "$raw/console_bg.wasm"; find "$raw" -name '*.wasm' ! -name console_bg.wasm -print0; } |
    xargs -0 -n 25 -P "$(nproc)" node style/optimize.mjs 2>"$raw/optimize.log" || { cat "$raw/optimize.log" >&2; exit 1; }
  rm "$raw/optimize.log"
fi

say "compiling the CSS"
style/node_modules/.bin/tailwindcss -i style/tailwind.css -o "$raw/console.css" --minify 2>"$raw/css.log" ||
  { cat "$raw/css.log" >&2; exit 1; }
rm "$raw/css.log"

node style/pack.mjs "$kind" "$raw" public "$site"
echo "$inputs" >"$site/.inputs"
publish

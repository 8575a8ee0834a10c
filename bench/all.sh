#!/usr/bin/env bash
# Runs the benchmarks, or those that are named, one after the other, and writes their tables into bench/README.md. One
# that fails leaves its table as it was. Needs root, the release build, and what each script says at its top.
#   bench/all.sh [NAME...]
set -euo pipefail
cd "$(dirname "$0")/.."

names=("$@")
[ ${#names[@]} -gt 0 ] || names=(router apps scaling starts memory lines push restarts sampling logs pages wasm)
failed=()
for name in "${names[@]}"; do
    echo "==> bench: $name" >&2
    bash "bench/$name.sh" || failed+=("$name")
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }

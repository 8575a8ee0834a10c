#!/usr/bin/env bash
# The start of a dyno against bubblewrap and runc, alternating. Needs root, bubblewrap and runc (Debian: apt-get install
# bubblewrap runc). Writes its table into bench/README.md.
#   bench/starts.sh [ROUNDS]
set -euo pipefail

rounds=${1:-60}
source "$(dirname "$0")/peers.bash"
must_have "bubblewrap runc python3" bwrap runc python3
starts=$(example dyno starts)
workspace

sandboxes bash -c 'exec true'
peers=("bubblewrap=$bwrap")
if sh -c "$runc" >/dev/null 2>"$work/runc.log"; then
    peers+=("runc=$runc")
else
    echo "runc cannot run here and is skipped: $(tail -1 "$work/runc.log")" >&2
fi
"$starts" "$work/data" "$rounds" "${peers[@]}" >"$work/results"

python3 - "$work/results" "$rounds" "$(nproc)" <<'PY' | record starts
import os, statistics, sys
results, rounds, cores = sys.argv[1:]
rows = [line.split() for line in open(results)]
names = list(dict.fromkeys(row[0] for row in rows))
of = lambda name, column: [float(row[column]) for row in rows if row[0] == name]
worst = lambda values: sorted(values)[int(len(values) * 0.95)]
text = ["## Start of a dyno against bubblewrap and runc", "",
        f"`bench/starts.sh`: `bash -c 'exec true'`, {rounds} alternating rounds, {cores} cores (load {os.getloadavg()[0]:.1f}). Started: the dyno's shim has "
        "set up its sandbox, network, limits and output, and runs the program. Ended: its exit is known and recorded. The peers set up "
        "no network that reaches the internet, no log and no record. Ratio: median of dyno / peer per round, from start to end. Before: until the "
        "first line of output, of the release before starts were reworked, measured then, with other scripts. Goal: 12 ms.", "",
        "| what | started ms, median | ended ms, median | p95 | dyno / peer | before, ms |", "| --- | --: | --: | --: | --: | --: |"]
before = {"dyno": "29 to 33", "bubblewrap": "8.4", "runc": "39"}
ended = of("dyno", 2)
for name in names:
    mine = of(name, 2)
    started = f"{statistics.median(of(name, 1)):.1f}" if name == "dyno" else ""
    ratio = "" if name == "dyno" else f"**{statistics.median(d / p for d, p in zip(ended, mine)):.2f}**"
    text.append(f"| {name} | {started} | {statistics.median(mine):.1f} | {worst(mine):.1f} | {ratio} | {before[name]} |")
print("\n".join(text))
PY

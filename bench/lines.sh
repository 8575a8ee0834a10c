#!/usr/bin/env bash
# The CPU of a log line against rsyslog, alternating: from a pipe through the spool into the compressed history, and
# rsyslog's inputs imtcp and imfile into a file. Needs rsyslog (Debian: apt-get install rsyslog). Writes its table into
# bench/README.md.
#   bench/lines.sh [ROUNDS] [LINES]
set -euo pipefail

rounds=${1:-3} lines=${2:-200000}
source "$(dirname "$0")/peers.bash"
must_have "rsyslog python3" rsyslogd python3
copy=$(example logs copy_lines)
workspace

python3 - "$lines" >"$work/lines" <<'PY'
import random, sys
draw = random.Random(7)
for n in range(int(sys.argv[1])):
    print(f"[{n:08}] GET /orders/{draw.randrange(65536)}/items?page={draw.randrange(8)} -> {draw.choice([200] * 49 + [404])} in {draw.randrange(512)} ms (db 3, views 9) user={draw.randrange(1 << 24):06x}")
PY

# Writes the lines to stdout, 500 at a time, 10,000 a second.
feed() {
    python3 -c '
import itertools, sys, time
lines, at = open(sys.argv[1]), time.monotonic()
while some := "".join(itertools.islice(lines, 500)):
    sys.stdout.write(some)
    sys.stdout.flush()
    at += 0.05
    time.sleep(max(0, at - time.monotonic()))
' "$work/lines"
}

# Prints the CPU of a process so far, in microseconds.
cpu() { # PID
    sed 's/.*) //' "/proc/$1/stat" | awk '{ print ($12 + $13) * 10000 }'
}

# Waits until a file has as many lines as were sent, and fails if that takes too long.
await_lines() { # FILE
    local _
    for _ in $(seq 600); do
        [ "$(wc -l <"$1" 2>/dev/null || echo 0)" -ge "$lines" ] && return
        sleep 0.1
    done
    echo "only $(wc -l <"$1") of $lines lines arrived in $1" >&2
    return 1
}

# Starts rsyslogd with this input, which runs the last argument when it is ready, and prints microseconds and lines.
rsyslog() { # NAME INPUT COMMAND
    local dir=$work/$1 pid begin
    rm -rf "$dir"
    mkdir "$dir"
    printf 'global(workDirectory="%s" maxMessageSize="64k")\nmain_queue(queue.size="1000000")\n%s\n' "$dir" "$2" >"$dir/conf"
    printf 'template(name="line" type="string" string="%%timegenerated:::date-rfc3339%% %%msg%%\\n")\n*.* action(type="omfile" file="%s/out" template="line")\n' "$dir" >>"$dir/conf"
    rsyslogd -n -f "$dir/conf" -i "$dir/pid" 2>>"$work/rsyslog.log" &
    pid=$!
    started+=("$pid")
    sleep 1
    begin=$(cpu "$pid")
    eval "$3"
    await_lines "$dir/out" || { cat "$work/rsyslog.log" >&2; return 1; }
    echo "$1 $(($(cpu "$pid") - begin)) $(wc -l <"$dir/out")"
    kill "$pid"
    wait "$pid" || true
}

port=$(free_ports 1)
for _ in $(seq "$rounds"); do
    rm -rf "$work/wharf"
    mkdir "$work/wharf"
    feed | "$copy" "$work/wharf" pipe "$lines" | awk -v n="$lines" '{ print "wharf", ($1 + $2) * n, $4; print "spooling", $1 * n, $4; print "copying", $2 * n, $4 }'
    rsyslog imtcp "module(load=\"imtcp\")
input(type=\"imtcp\" port=\"$port\" address=\"127.0.0.1\")" "exec 3<>/dev/tcp/127.0.0.1/$port; feed >&3; exec 3>&-"
    rsyslog imfile "module(load=\"imfile\")
input(type=\"imfile\" file=\"$work/imfile/in\" tag=\"app\")" "feed >'$work/imfile/in'"
done >"$work/results"

python3 - "$work/results" "$rounds" "$lines" "$(nproc)" <<'PY' | record lines
import os, statistics, sys
results, rounds, lines, cores = sys.argv[1:]
rows = [line.split() for line in open(results)]
of = lambda name: [float(us) / int(lines) for n, us, _ in rows if n == name]
least = lambda name: min(int(found) for n, _, found in rows if n == name)
names = {"wharf": "Wharf", "spooling": "of that: the spool", "copying": "of that: the history", "imtcp": "rsyslog, imtcp", "imfile": "rsyslog, imfile"}
text = ["## CPU of a log line against rsyslog", "",
        f"`bench/lines.sh`: {rounds} alternating rounds of {int(lines):,} lines of about 90 bytes, 10,000 a second in groups of 500, {cores} cores (load {os.getloadavg()[0]:.1f}); medians. Wharf reads a pipe, spools each "
        "line with its time as a dyno's shim does, copies it into the history in steps of 300 lines afterwards, and compresses the history; rsyslog writes a plain file. "
        "Ratio: median of Wharf / peer per round. The polling of the server and the sandbox of the shim are not included. Before: the release before "
        "lines were read in batches, measured then, with other scripts. Goal: 1.2 µs.", "",
        "| what | µs of CPU per line | before | Wharf / peer | lines kept, at least |", "| --- | --: | --: | --: | --: |"]
before = {"wharf": 3.5, "spooling": 0.9, "copying": 2.6, "imtcp": 2.3, "imfile": 4.4}
for name, title in names.items():
    ratio = f"**{statistics.median(w / p for w, p in zip(of('wharf'), of(name))):.2f}**" if name.startswith("im") else ""
    text.append(f"| {title} | {statistics.median(of(name)):.2f} | {before[name]} | {ratio} | {least(name):,} |")
print("\n".join(text))
PY

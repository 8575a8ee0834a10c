#!/usr/bin/env bash
# The memory of the processes that supervise a dyno, against those of bubblewrap and runc. Needs root, bubblewrap and
# runc (Debian: apt-get install bubblewrap runc). Writes its table into bench/README.md.
#   bench/memory.sh [NUMBER]
set -euo pipefail

number=${1:-10}
source "$(dirname "$0")/peers.bash"
must_have "bubblewrap runc python3" bwrap runc python3
hold=$(example dyno hold)
workspace
sandboxes sleep 100000

python3 - "$work" "$number" "$hold" "$bwrap" "$runc" <<'PY' | record memory
import pathlib, re, subprocess, sys, time
work, number, hold, bwrap, runc = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]

def read(pid, name):
    return pathlib.Path(f"/proc/{pid}/{name}").read_text()

def family(pid):
    """The process and its descendants, without the sandboxed program itself."""
    children = [child for task in pathlib.Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    return [] if read(pid, "comm") == "sleep\n" else [pid, *(one for child in children for one in family(child))]

def kilobytes(pid, field):
    return int(re.search(rf"^{field}:\s+(\d+)", read(pid, "smaps_rollup"), re.M)[1])

def is_complete(pid):
    try:
        return any(read(child, "comm") == "sleep\n" for one in family(pid)
                   for task in pathlib.Path(f"/proc/{one}/task").iterdir() for child in (task / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        return False  # One of several processes that only set up the sandbox.

def measure(name, begin):
    """Starts all of them at the same time, since what they share counts once, and prints the row of the table."""
    held, pids = begin()
    deadline = time.monotonic() + 60
    while not all(map(is_complete, pids)):
        assert time.monotonic() < deadline, f"{name} does not start"
        time.sleep(0.1)
    time.sleep(1)
    every = [one for pid in pids for one in family(pid)]
    figures = {field: sum(kilobytes(pid, field) for pid in every) / number for field in ["Pss", "Pss_Anon", "Rss"]}
    for process in held:
        process.stdin.close()
    for process in held:
        process.wait() if name == "dyno" else process.kill()
    return name, len(every) / number, figures

def dynos():
    process = subprocess.Popen([hold, f"{work}/data", str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return [process], [process.stdout.readline().strip() for _ in range(number)]

def peers(command):
    def begin():
        started = [subprocess.Popen(["sh", "-c", f"exec {command}"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(number)]
        return started, [str(process.pid) for process in started]
    return begin

rows = [measure("dyno", dynos), measure("bubblewrap", peers(bwrap))]
try:
    rows.append(measure("runc", peers(runc)))
except AssertionError as error:
    print(f"runc cannot run here and is skipped: {error}", file=sys.stderr)
mine = rows[0][2]["Pss"]
print("## Memory of the processes that supervise a dyno", "",
      f"`bench/memory.sh`: {number} of each at the same time, running `sleep`, which is not counted. Means. Proportional: each page is divided "
      "by the number of processes that share it (PSS). Private: the part of it that is not from files. The peers' processes "
      "read no output, write no log and enforce no time limit. Ratio: proportional memory, dyno / peer. Before: the release whose shim "
      "was a process of the server's program, measured then, with other scripts. Goal: 1,000 KB. The memory of the server is in "
      "*An idle platform* and *A log flood*.", "",
      "| what | processes | proportional KB | before | private KB | resident KB | dyno / peer |", "| --- | --: | --: | --: | --: | --: | --: |", sep="\n")
for name, processes, figures in rows:
    ratio = "" if name == "dyno" else f"**{mine / figures['Pss']:.2f}**"
    before = "7,400" if name == "dyno" else ""
    print(f"| {name} | {processes:.0f} | {figures['Pss']:.0f} | {before} | {figures['Pss_Anon']:.0f} | {figures['Rss']:.0f} | {ratio} |")
PY

# What the benchmarks against other programs have in common. Sourced by them.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The processes to end at the end.
started=()

# Fails unless these programs are installed. PACKAGES are the Debian packages that contain them.
must_have() { # PACKAGES PROGRAM...
    local packages=$1 program
    for program in "${@:2}"; do
        command -v "$program" >/dev/null || {
            echo "$program is missing. On Debian: apt-get install $packages" >&2
            exit 1
        }
    done
}

# Builds an example program of a crate, and prints its path.
example() { # CRATE NAME
    cargo build --release --quiet -p "$1" --example "$2" --manifest-path "$root/Cargo.toml"
    echo "${CARGO_TARGET_DIR:-$root/target}/release/examples/$2"
}

# Creates the folder $work, which is removed at the end, after the processes have been ended.
workspace() {
    work=$(mktemp -d)
    chmod 755 "$work"
    trap finish EXIT
}

finish() {
    local pid
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}

# Sets $bwrap and $runc to commands that run this program in the peers' usual sandboxes: all namespaces, no network.
# runc's has limits on memory and processes; neither has a network with internet access, nor a disk with a quota.
sandboxes() { # PROGRAM ARGUMENT...
    local link
    bwrap="bwrap --unshare-all --die-with-parent --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp $(printf '%q ' "$@")"
    mkdir -p "$work/bundle/rootfs/usr"
    for link in bin lib lib64; do ln -s "usr/$link" "$work/bundle/rootfs/$link"; done
    (cd "$work/bundle" && runc spec)
    python3 - "$work/bundle/config.json" "$@" <<'PY'
import json, sys
path, *program = sys.argv[1:]
config = json.load(open(path))
config["process"]["args"] = program
config["process"]["terminal"] = False
config["mounts"] = [m for m in config["mounts"] if m["type"] != "cgroup"]
config["mounts"].append({"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]})
config["linux"]["resources"] = {"devices": [{"allow": False, "access": "rwm"}], "memory": {"limit": 1 << 29}, "pids": {"limit": 256}}
json.dump(config, open(path, "w"))
PY
    runc="runc --root $work/runc run --bundle $work/bundle bench-\$\$"
}

# Prints as many free ports.
free_ports() { # NUMBER
    python3 - "$1" <<'PY'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))
PY
}

# Waits until these ports respond to a request for HOST.
await_ports() { # HOST PORT...
    local port
    for port in "${@:2}"; do
        curl -fsS --retry 50 --retry-connrefused --retry-delay 1 -o /dev/null -H "Host: $1" "http://127.0.0.1:$port/"
    done
}

# Writes the text from stdin between the markers of NAME in bench/README.md, and prints it.
record() { # NAME
    # The program is an argument, because stdin is the text.
    python3 -c '
import pathlib, re, sys
name, path = sys.argv[1], pathlib.Path(sys.argv[2])
text = sys.stdin.read().rstrip("\n")
block = f"<!-- {name} -->\n{text}\n<!-- /{name} -->\n"
old = path.read_text()
new, n = re.subn(f"<!-- {name} -->.*?<!-- /{name} -->\n", lambda _: block, old, flags=re.S)
path.write_text(new if n else old.rstrip("\n") + "\n\n" + block)
print(text)
' "$1" "$root/bench/README.md"
}

# Prints the part of a configuration of HAProxy that both benchmarks of the router share. It does the same work as the
# router: keep-alive to the backends, forwarded headers, a request id, a line per request on stdout.
haproxy_common() { # FILES
    cat <<CONF
global
  nbthread $(nproc)
  ${1:+ulimit-n $1}
  ${1:+maxconn $((($1 - 64) / 2))}
  log stdout format raw local0 info
  tune.maxrewrite 2048
defaults
  mode http
  log global
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  http-reuse always
  option forwardfor
  unique-id-format %[uuid]
  unique-id-header X-Request-Id
  log-format "method=%HM path=%{+Q}HP host=%[capture.req.hdr(0)] request_id=%ID fwd=%ci dyno=%s connect=%Tc service=%Ta status=%ST bytes=%B"
CONF
}

# Prints what HAProxy does with each request, for a frontend.
haproxy_requests() {
    cat <<'CONF'
  http-request capture req.hdr(Host) len 128
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header X-Request-Start %[date()]
CONF
}

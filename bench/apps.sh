#!/bin/bash
# Many apps, requested in turn, through a proxy that can open few files: the router against nginx and HAProxy,
# alternating. Needs nginx, HAProxy and wrk (Debian: apt-get install nginx-light haproxy wrk). Writes its table into bench/README.md.
#   bench/apps.sh [ROUNDS] [SECONDS]
set -euo pipefail

rounds=${1:-5}
seconds=${2:-5}
apps=10000
files=1024
connections=64
threads=2
source "$(dirname "$0")/peers.bash"
must_have "nginx-light haproxy wrk python3 curl" nginx haproxy wrk python3 curl pgrep
router=$(example router bench_router)
workspace
read -r backend_port nginx_port haproxy_port router_port < <(free_ports 4)

mkdir -p "$work/run" "$work/data/router-table"
common="pid $work/NAME.pid; error_log $work/NAME.log; daemon off;"
# Every app has an address of its own, all of which are this backend.
cat >"$work/backend.conf" <<CONF
${common//NAME/backend}
worker_processes auto; worker_rlimit_nofile 65536;
events { worker_connections 30000; }
http {
  access_log off; keepalive_requests 10000000; keepalive_timeout 300s;
  server { listen 0.0.0.0:$backend_port backlog=4096; location = / { return 200 "Hello, world\n"; } }
}
CONF
# nginx's processes share the files. It keeps no connections to upstreams: those of one upstream would have a bound, all of
# them together would not, and requests would fail.
{
    haproxy_common "$files"
    echo "frontend proxy
  bind 127.0.0.1:$haproxy_port backlog 4096"
    haproxy_requests
    echo "  use_backend %[req.hdr(Host),field(1,.)]"
} >"$work/haproxy.conf"
python3 - "$work" "$apps" "$files" "$backend_port" "$nginx_port" "$(nproc)" "${common//NAME/proxy}" <<'PY'
import json, sys
work, apps, files, backend, port, cores, common = sys.argv[1:]
addr = lambda n: f"127.1.{n // 250}.{n % 250 + 1}:{backend}"
each = int(files) // int(cores)
upstreams = "\n".join(f"  upstream app{n} {{ server {addr(n)}; }}" for n in range(int(apps)))
open(f"{work}/proxy.conf", "w").write(f"""{common}
worker_processes {cores}; worker_rlimit_nofile {each};
events {{ worker_connections {each - 32}; }}
http {{
  log_format router 'method=$request_method path="$uri" host=$host request_id=$request_id fwd="$proxy_add_x_forwarded_for" '
                    'connect=$upstream_connect_time service=$request_time status=$status bytes=$body_bytes_sent';
  access_log {work}/access.log router buffer=64k flush=1s;
  keepalive_requests 10000000;
  proxy_temp_path {work}/proxy_temp;
{upstreams}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    server_name ~^(?<app>app[0-9]+)\\.apps\\.test$;
    location / {{
      proxy_pass http://$app;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Request-Id $request_id;
      proxy_set_header X-Request-Start $msec;
    }}
  }}
}}
""")
with open(f"{work}/haproxy.conf", "a") as conf:
    for n in range(int(apps)):
        conf.write(f"backend app{n}\n  server app{n} {addr(n)}\n")
routes = [{"app_id": f"00000000-0000-0000-0000-{n:012x}", "name": f"app{n}", "hosts": [], "state": "up",
           "dynos": [{"dyno": "web.1", "addr": addr(n)}]} for n in range(int(apps))]
table = {"version": 1, "platform_hosts": ["localhost"], "apps_domain": "apps.test", "apps": routes}
json.dump(table, open(f"{work}/data/router-table/routes.json", "w"))
open(f"{work}/turns.lua", "w").write(f"""
local n = 0
request = function()
  n = (n + 1) % {apps}
  return "GET / HTTP/1.1\\r\\nHost: app" .. n .. ".apps.test\\r\\n\\r\\n"
end
""")
PY

nginx -c "$work/backend.conf" & started+=($!)
nginx -c "$work/proxy.conf" & started+=($!); nginx_pid=$!
haproxy -db -f "$work/haproxy.conf" >"$work/haproxy.log" 2>"$work/haproxy.err" & started+=($!); haproxy_pid=$!
"$router" "127.0.0.1:$router_port" "$work/data" "$work/run" "$files" >"$work/router.log" 2>&1 & started+=($!); router_pid=$!
await_ports app1.apps.test "$backend_port" "$nginx_port" "$haproxy_port" "$router_port"

# Memory of a process and its children, in KB.
memory() { # PID
    local pid total=0
    for pid in "$1" $(pgrep -P "$1"); do
        total=$((total + $(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup")))
    done
    echo "$total"
}

# Lines of the log that are on disk.
lines() { # NAME
    case $1 in
    nginx) wc -l <"$work/access.log" ;;
    HAProxy) grep -c '^method=' "$work/haproxy.log" || true ;;
    router) cat "$work"/data/router-spool/*.spool | wc -l ;;
    esac
}

measure() { # NAME PID PORT
    local before held
    before=$(lines "$1")
    held=$(memory "$2")
    wrk -t"$threads" -c"$connections" -d"${seconds}s" -s "$work/turns.lua" "http://127.0.0.1:$3" >"$work/wrk.out"
    # Both write their lines within a second.
    sleep 2
    python3 - "$1" "$work/wrk.out" "$(memory "$2")" $(($(lines "$1") - before)) "$held" >>"$work/results" <<'PY'
import re, sys
name, out, memory, lines, held = sys.argv[1], open(sys.argv[2]).read(), *map(int, sys.argv[3:])
requests = int(re.search(r"(\d+) requests in", out)[1])
rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])
bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
failed = (int(bad[1]) if bad else 0) + (sum(map(int, sockets.groups())) if sockets else 0)
print(name, rate, failed, max(0, requests - lines), memory / 1024, held / 1024)
PY
    tail -1 "$work/results" >&2
}

for round in $(seq "$rounds"); do
    measure nginx "$nginx_pid" "$nginx_port"
    measure HAProxy "$haproxy_pid" "$haproxy_port"
    measure router "$router_pid" "$router_port"
done

python3 - "$work/results" "$apps" "$files" "$connections" "$rounds" "$seconds" "$(nproc)" <<'PY' | record apps
import statistics, sys
results, apps, files, connections, rounds, seconds, cores = sys.argv[1:]
rows = [line.split() for line in open(results)]
def of(name, column):
    return [float(r[column]) for r in rows if r[0] == name]
def ratio(name):
    if name == "router":
        return ""
    return f"**{statistics.median(r / n for r, n in zip(of('router', 1), of(name, 1))):.2f}**"
# What the release before the hot paths were reworked failed, from an earlier run.
before = {"router": "25,019; 749; 612", "nginx": "0", "HAProxy": "0"}
text = ["## Many apps and few files", "",
        f"`bench/apps.sh`: {int(apps):,} apps, each with an address of its own, requested in turn over {connections} keep-alive "
        f"connections from wrk, through a proxy that can open {files} files; {rounds} alternating rounds of {seconds} s on "
        f"{cores} cores. Rate: median. Failed requests and missing lines of the log: total. Memory: before the first and after "
        "the last round. Ratio: median of router / peer per round. Before: failed requests, missing lines and MB of the "
        "release before idle connections were bounded, measured then, with other scripts.", "",
        "| proxy | req/s | router / peer | failed | lines missing | memory MB | before |",
        "| --- | --: | --: | --: | --: | --: | --: |"]
for name in ("router", "nginx", "HAProxy"):
    text.append(f"| {name} | {statistics.median(of(name, 1)):,.0f} | {ratio(name)} | {sum(of(name, 2)):.0f} | "
                f"{sum(of(name, 3)):.0f} | {of(name, 5)[0]:.0f} → {of(name, 4)[-1]:.0f} | {before[name]} |")
print("\n".join(text))
PY

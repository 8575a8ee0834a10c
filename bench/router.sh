#!/bin/bash
# The router against nginx and HAProxy, side by side: same machine, same backend, same minute, alternating.
# Needs nginx, HAProxy and wrk (Debian: apt-get install nginx-light haproxy wrk). Writes its table into bench/README.md.
#   bench/router.sh [ROUNDS] [SECONDS]
set -euo pipefail

rounds=${1:-5}
seconds=${2:-5}
connections=64
threads=2
source "$(dirname "$0")/peers.bash"
must_have "nginx-light haproxy wrk python3 curl" nginx haproxy wrk python3 curl pgrep
router=$(example router bench_router)
workspace
read -r backend_port nginx_port haproxy_port router_port < <(free_ports 4)

common="pid $work/NAME.pid; error_log $work/NAME.log; daemon off; worker_processes auto;
events { worker_connections 4096; }"
mkdir -p "$work/www" "$work/run" "$work/data/router-table"
head -c 65536 /dev/zero | tr '\0' x >"$work/www/64k"

cat >"$work/backend.conf" <<CONF
${common//NAME/backend}
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 10000000;
  server {
    listen 127.0.0.1:$backend_port backlog=4096;
    root $work/www;
    location = / { return 200 "Hello, world\n"; }
  }
}
CONF
# nginx does the same work: keep-alive to the backend, forwarded headers, a request id, a line per request.
cat >"$work/proxy.conf" <<CONF
${common//NAME/proxy}
http {
  log_format router 'method=\$request_method path="\$uri" host=\$host request_id=\$request_id fwd="\$proxy_add_x_forwarded_for" '
                    'connect=\$upstream_connect_time service=\$request_time status=\$status bytes=\$body_bytes_sent';
  access_log $work/access.log router buffer=64k flush=1s;
  keepalive_requests 10000000;
  proxy_temp_path $work/proxy_temp;
  upstream app { server 127.0.0.1:$backend_port; keepalive 256; keepalive_requests 10000000; }
  server {
    listen 127.0.0.1:$nginx_port backlog=4096;
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host \$host;
      proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto \$scheme;
      proxy_set_header X-Forwarded-Port \$server_port;
      proxy_set_header X-Request-Id \$request_id;
      proxy_set_header X-Request-Start \$msec;
    }
  }
}
CONF
{
    haproxy_common ""
    echo "frontend proxy
  bind 127.0.0.1:$haproxy_port backlog 4096"
    haproxy_requests
    echo "  default_backend app
backend app
  server app 127.0.0.1:$backend_port"
} >"$work/haproxy.conf"
cat >"$work/data/router-table/routes.json" <<JSON
{"version":1,"platform_hosts":["localhost"],"apps_domain":"apps.test","apps":[{
  "app_id":"00000000-0000-0000-0000-000000000001","name":"bench","hosts":[],"state":"up",
  "dynos":[{"dyno":"web.1","addr":"127.0.0.1:$backend_port"}]}]}
JSON

nginx -c "$work/backend.conf" & started+=($!)
nginx -c "$work/proxy.conf" & started+=($!); nginx_pid=$!
haproxy -db -f "$work/haproxy.conf" >"$work/haproxy.log" 2>"$work/haproxy.err" & started+=($!); haproxy_pid=$!
"$router" "127.0.0.1:$router_port" "$work/data" "$work/run" >"$work/router.log" 2>&1 & started+=($!); router_pid=$!
await_ports bench.apps.test "$backend_port" "$nginx_port" "$haproxy_port" "$router_port"

# User and system time of a process and its children, in hundredths of a second.
spent() { # PID
    local pid total=0
    for pid in "$1" $(pgrep -P "$1"); do
        total=$((total + $(sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }')))
    done
    echo "$total"
}

measure() { # NAME PID PORT CASE
    local before after path=/ close=()
    case $4 in
    *64k) path=/64k ;;
    esac
    case $4 in
    new*) close=(-H 'Connection: close') ;;
    esac
    before=$(spent "$2")
    wrk -t"$threads" -c"$connections" -d"${seconds}s" --latency -H 'Host: bench.apps.test' "${close[@]}" \
        "http://127.0.0.1:$3$path" >"$work/wrk.out"
    after=$(spent "$2")
    python3 - "$1" "$4" "$work/wrk.out" $((after - before)) >>"$work/results" <<'PY'
import re, sys
name, case, out, spent = sys.argv[1], sys.argv[2], open(sys.argv[3]).read(), int(sys.argv[4])
requests = int(re.search(r"(\d+) requests in", out)[1])
scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}
rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])
p50, p99 = (float(m[1]) * scale[m[2]] for m in (re.search(q + r"%\s+([\d.]+)(us|ms|s)\b", out) for q in ("50", "99")))
bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
errors = int(bad[1]) if bad else 0
errors += sum(map(int, sockets.groups())) if sockets else 0
print(name, case, rate, p50, p99, errors, spent * 1e4 / requests)
PY
    tail -1 "$work/results" >&2
}

for round in $(seq "$rounds"); do
    for case in 13 64k new-13 new-64k; do
        measure nginx "$nginx_pid" "$nginx_port" "$case"
        measure HAProxy "$haproxy_pid" "$haproxy_port" "$case"
        measure router "$router_pid" "$router_port" "$case"
    done
done
measure direct "${started[0]}" "$backend_port" 13

python3 - "$work/results" "$connections" "$rounds" "$seconds" "$(nproc)" <<'PY' | record router
import statistics, sys
results, connections, rounds, seconds, cores = sys.argv[1:]
rows = [line.split() for line in open(results)]
def of(name, case, column):
    return [float(r[column]) for r in rows if r[0] == name and r[1] == case]
def ratio(name, case):
    return f"**{m(r / n for r, n in zip(of('router', case, 2), of(name, case, 2))):.2f}**"
m = statistics.median
# The ratios of the release before the hot paths were reworked, from an earlier run on another machine with 2 cores.
before = {("nginx", "13"): 0.88, ("HAProxy", "13"): 0.99, ("nginx", "64k"): 1.15, ("HAProxy", "64k"): 0.92, ("nginx", "new-13"): 0.76}
text = ["## Router against nginx and HAProxy", "",
        f"`bench/router.sh`: {connections} connections from wrk, {rounds} alternating rounds of {seconds} s, "
        f"{cores} cores shared by wrk, the backend (nginx) and the proxy; medians. Ratio: median of router / peer per round. "
        "New connections: one per request. Before: the ratio of the release before the hot paths were reworked, measured "
        "then, on another machine with 2 cores. Goal: at least 1.0 in all cases, and no higher p99.", "",
        "| response | proxy | req/s | router / peer | before | p50 ms | p99 ms | CPU µs/req | failed |",
        "| --- | --- | --: | --: | --: | --: | --: | --: | --: |"]
labels = {"13": "13 B", "64k": "64 KiB", "new-13": "13 B, new connections", "new-64k": "64 KiB, new connections"}
for case, label in labels.items():
    for name in ("router", "nginx", "HAProxy"):
        of_peer = [ratio(name, case), before.get((name, case), "")] if name != "router" else ["", ""]
        figures = [f"{m(of(name, case, 2)):,.0f}", *of_peer, f"{m(of(name, case, 3)):.2f}", f"{m(of(name, case, 4)):.2f}",
                   f"{m(of(name, case, 6)):.0f}", f"{sum(of(name, case, 5)):.0f}"]
        text.append(f"| {label} | {name} | {' | '.join(map(str, figures))} |")
direct = of("direct", "13", 2)
text += ["", f"Without a proxy, the backend serves {m(direct):,.0f} 13 B responses per second. "
         "Rates depend on the load of the machine; compare the ratio and CPU per request."]
print("\n".join(text))
PY

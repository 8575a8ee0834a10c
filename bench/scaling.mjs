// Requests lost while dynos are stopped: an app that takes 20 ms for each request and exits at once on SIGTERM is scaled
// up and down, restarted and released, while clients request it without pause.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { busy, quantile, report, sleep, start } from "./world.mjs";

const rounds = Number(process.argv[2] ?? 5);
const clients = 16;
const program = `
import http.server, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        time.sleep(0.02)
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")

    def log_message(self, *args):
        pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

Server(("", int(sys.argv[1])), Handler).serve_forever()
`;

const world = await start();
try {
  await deploy();
  const scale = async (n) => {
    await world.api("PATCH", "/apps/slow/formation/web", { quantity: n });
    await until((dynos) => dynos.length === n);
  };
  const replaced = async (change) => {
    const before = new Set((await dynos()).map((dyno) => dyno.id));
    await change();
    await until((dynos) => dynos.every((dyno) => !before.has(dyno.id)));
  };
  await scale(4);
  const works = {
    nothing: () => sleep(2000),
    "scaling from 4 to 1": async () => {
      await scale(1);
      await sleep(500);
    },
    "scaling from 1 to 4": () => scale(4),
    "restart of 4": () => replaced(() => world.api("DELETE", "/apps/slow/dynos")),
    "release with 4": () => replaced(() => world.api("PATCH", "/apps/slow/config-vars", { RELEASE: String(Date.now()) })),
  };
  const seen = Object.fromEntries(Object.keys(works).map((name) => [name, { times: [], failed: [] }]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, work] of Object.entries(works)) {
      const { times, failed } = await during(work);
      seen[name].times.push(...times);
      seen[name].failed.push(...failed);
    }
  }
  const row = ([name, { times, failed }]) =>
    `| ${name} | ${times.length + failed.length} | ${failed.length} | ${quantile(times, 0.5).toFixed(1)} | ${quantile(times, 0.99).toFixed(1)} |`;
  const why = new Set(Object.values(seen).flatMap(({ failed }) => failed));
  report(
    "scaling",
    `## Requests while dynos are stopped

\`bench/scaling.sh\`: the release build; ${clients} clients request an app without pause, which takes 20 ms for each request and exits at once on SIGTERM; ${rounds} rounds on the same machine (${busy()}). The times include these 20 ms.${why.size ? ` Failures: ${[...why].join(", ")}.` : ""}

| meanwhile | requests | failed | p50 ms | p99 ms |
| --- | --: | --: | --: | --: |
${Object.entries(seen).map(row).join("\n")}`,
  );
} finally {
  await world.stop();
}

/** Releases the program as a slug of an app called slow. */
async function deploy() {
  await world.api("POST", "/apps", { name: "slow" });
  // Otherwise the old dynos run for ten more seconds, in case that the new ones crash.
  await world.api("PATCH", "/apps/slow", { watch_seconds: 0 });
  const slug = await world.api("POST", "/apps/slow/slugs", { process_types: { web: "exec python3 slow.py $PORT" } });
  const folder = mkdtempSync(join(tmpdir(), "wharf-bench-slug-"));
  mkdirSync(join(folder, "app"));
  writeFileSync(join(folder, "app/slow.py"), program);
  const archive = execFileSync("tar", ["czf", "-", "-C", folder, "./app"]);
  rmSync(folder, { recursive: true });
  const path = slug.blob.url.slice(slug.blob.url.indexOf("/blobs"));
  const put = await fetch(world.base + path, { method: "PUT", body: archive });
  if (!put.ok) throw new Error(`PUT ${path}: ${put.status} ${await put.text()}`);
  await world.api("POST", "/apps/slow/releases", { slug: slug.id });
}

function dynos() {
  return world.api("GET", "/apps/slow/dynos");
}

/** Waits until all dynos are up, and `is_so`. */
async function until(is_so) {
  for (;;) {
    const all = await dynos();
    if (all.length > 0 && all.every((dyno) => dyno.state === "up") && is_so(all)) return;
    await sleep(20);
  }
}

/** Milliseconds of the requests that were answered well while `work` was done, and what became of the others. */
async function during(work) {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const [times, failed] = [[], []];
  let is_over = false;
  const client = async () => {
    while (!is_over) {
      const begin = performance.now();
      const outcome = await get(agent);
      if (outcome === 200) times.push(performance.now() - begin);
      else failed.push(outcome);
    }
  };
  const all = Array.from({ length: clients }, client);
  await work();
  is_over = true;
  await Promise.all(all);
  agent.destroy();
  return { times, failed };
}

/** The status of a response, or why there is none. */
function get(agent) {
  return new Promise((done) => {
    const options = { agent, host: "127.0.0.1", port: world.port, headers: { host: `slow.localhost:${world.port}` } };
    const asked = request(options, (answer) => {
      answer.resume();
      answer.on("end", () => done(answer.statusCode));
      answer.on("error", (error) => done(error.message));
    });
    asked.on("error", (error) => done(error.message)).end();
  });
}

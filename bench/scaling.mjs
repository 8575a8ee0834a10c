// Requests while dynos are stopped: an app that exits at once on SIGTERM is scaled up and down, restarted and released,
// while clients request it. The peer is nginx in front of the same program, reloaded for each change.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { nginx } from "./proxy.mjs";
import { busy, quantile, report, sleep, start } from "./world.mjs";

const rounds = Number(process.argv[2] ?? 5);
const clients = 16;
const rate = 500;
const program = `
import asyncio, sys

class Handler(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.read = transport, b""

    def data_received(self, data):
        self.read += data
        while b"\\r\\n\\r\\n" in self.read:
            head, _, self.read = self.read.partition(b"\\r\\n\\r\\n")
            delay = 0.02 if head.startswith(b"GET /slow ") else 0
            asyncio.get_running_loop().call_later(delay, self.transport.write, b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")

async def serve():
    server = await asyncio.get_running_loop().create_server(Handler, "", int(sys.argv[1]), backlog=128)
    await server.serve_forever()

asyncio.run(serve())
`;

const scratch = mkdtempSync(join(tmpdir(), "wharf-bench-scaling-"));
writeFileSync(join(scratch, "app.py"), program);
const world = await start();
const peer = await nginx((port) => spawn("python3", [join(scratch, "app.py"), port], { stdio: "ignore" }));
try {
  await deploy();
  const systems = {
    Wharf: {
      port: world.port,
      host: `scaled.localhost:${world.port}`,
      scale: async (n) => {
        await world.api("PATCH", "/apps/scaled/formation/web", { quantity: n });
        await until((dynos) => dynos.length === n);
      },
      restart: () => replaced(() => world.api("DELETE", "/apps/scaled/dynos")),
      release: () => replaced(() => world.api("PATCH", "/apps/scaled/config-vars", { RELEASE: String(Date.now()) })),
    },
    nginx: { port: peer.port, host: "app", scale: peer.scale, restart: peer.replace, release: peer.replace },
  };
  const works = {
    nothing: () => sleep(2000),
    "scaling from 4 to 1": async (system) => {
      await system.scale(1);
      await sleep(500);
    },
    "scaling from 1 to 4": (system) => system.scale(4),
    "restart of 4": (system) => system.restart(),
    "release with 4": (system) => system.release(),
  };
  const seen = {};
  for (const system of Object.values(systems)) await system.scale(4);
  for (let round = 0; round < rounds; round++) {
    for (const [name, system] of Object.entries(systems)) {
      for (const path of ["/slow", "/fast"]) {
        for (const [work, act] of Object.entries(works)) {
          const { times, failed, retried } = await during(system, path, () => act(system));
          const into = (seen[`${work}|${name}|${path}`] ??= { times: [], failed: [], retried: 0 });
          into.times.push(...times);
          into.failed.push(...failed);
          into.retried += retried;
        }
      }
    }
  }
  const rows = Object.keys(works).flatMap((work) => Object.keys(systems).map((name) => row(work, name, seen)));
  const why = new Set(Object.values(seen).flatMap(({ failed }) => failed));
  report(
    "scaling",
    `## Requests while dynos are stopped

\`bench/scaling.sh\`: the release build and nginx, which is reloaded for each change and whose old processes are stopped when its old workers have ended; the same app, which exits at once on SIGTERM; ${rounds} rounds on the same machine (${busy()}). Slow: ${clients} clients request without pause what takes 20 ms. Fast: ${rate} requests per second of what takes no time, open-loop. Sent again: a kept-alive connection was closed before a byte of the response, as browsers do. Before: the release that signalled dynos before the router knew, measured then, with other scripts; per 3,000 requests. Goal: none fails, p99 below 1 ms.${why.size ? ` Failures: ${[...why].join(", ")}.` : ""}

| meanwhile | system | slow requests | failed | before | sent again | fast requests | failed | sent again | p50 ms | p99 ms | before |
| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
${rows.join("\n")}`,
  );
} finally {
  await peer.stop();
  await world.stop();
  rmSync(scratch, { recursive: true });
}

function row(work, name, seen) {
  const [slow, fast] = ["/slow", "/fast"].map((path) => seen[`${work}|${name}|${path}`]);
  const failed = { "scaling from 4 to 1|Wharf": "7 to 15" }[`${work}|${name}`] ?? "";
  const p99 = { "nothing|Wharf": "0.67", "scaling from 4 to 1|Wharf": "2.8", "scaling from 4 to 1|nginx": "0.9" }[`${work}|${name}`] ?? "";
  const number = ({ times, failed }) => times.length + failed.length;
  const ms = (q) => quantile(fast.times, q).toFixed(2);
  return `| ${work} | ${name} | ${number(slow)} | ${slow.failed.length} | ${failed} | ${slow.retried} | ${number(fast)} | ${fast.failed.length} | ${fast.retried} | ${ms(0.5)} | ${ms(0.99)} | ${p99} |`;
}

/** Releases the program as a slug of an app called scaled. */
async function deploy() {
  await world.api("POST", "/apps", { name: "scaled" });
  // Otherwise the old dynos run for ten more seconds, in case that the new ones crash.
  await world.api("PATCH", "/apps/scaled", { watch_seconds: 0 });
  mkdirSync(join(scratch, "slug/app"), { recursive: true });
  writeFileSync(join(scratch, "slug/app/app.py"), program);
  await world.release("scaled", { web: "exec python3 app.py $PORT" }, join(scratch, "slug"));
}

function dynos() {
  return world.api("GET", "/apps/scaled/dynos");
}

/** Makes a change, and waits until all dynos are others. */
async function replaced(change) {
  const before = new Set((await dynos()).map((dyno) => dyno.id));
  await change();
  await until((dynos) => dynos.every((dyno) => !before.has(dyno.id)));
}

/** Waits until all dynos are up, and `is_so`. */
async function until(is_so) {
  for (;;) {
    const all = await dynos();
    if (all.length > 0 && all.every((dyno) => dyno.state === "up") && is_so(all)) return;
    await sleep(20);
  }
}

/** What became of the requests that were sent while `work` was done. */
async function during({ port, host }, path, work) {
  const script = join(dirname(fileURLToPath(import.meta.url)), "client.mjs");
  const args = [script, port, host, path, clients, path === "/fast" ? rate : 0].map(String);
  const client = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  client.stdout.on("data", (chunk) => (said += chunk));
  const ended = new Promise((done) => client.once("close", done));
  await sleep(500);
  await work();
  client.stdin.end();
  await ended;
  return JSON.parse(said);
}

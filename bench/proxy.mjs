// nginx in front of processes of an app, as somebody without a platform runs it: processes are started and stopped by
// hand, and nginx is reloaded with the new list.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sleep } from "./world.mjs";

/** Starts nginx in front of no process yet. `begin(port)` starts a process of the app. */
export async function nginx(begin) {
  const folder = mkdtempSync(join(tmpdir(), "wharf-bench-nginx-"));
  const conf = join(folder, "nginx.conf");
  const port = await freePort();
  let processes = [];
  let main;

  function configure() {
    const servers = processes.map((one) => `server 127.0.0.1:${one.port};`).join(" ") || "server 127.0.0.1:9;";
    writeFileSync(
      conf,
      `pid ${folder}/pid; error_log ${folder}/error.log; daemon off; worker_processes auto;
events { worker_connections 4096; }
http {
  access_log ${folder}/access.log combined buffer=64k flush=1s;
  keepalive_requests 10000000;
  proxy_temp_path ${folder}/temp;
  upstream app { ${servers} keepalive 64; keepalive_requests 10000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }
  }
}
`,
    );
  }

  /** Reloads nginx; resolves when the workers with the old list have ended, which they do after their last response. */
  async function reload() {
    const old = readFileSync(`/proc/${main.pid}/task/${main.pid}/children`, "utf8").trim().split(" ");
    configure();
    execFileSync("nginx", ["-c", conf, "-s", "reload"]);
    const running = new Set(readdirSync("/proc"));
    for (let left = old.filter((pid) => running.has(pid)); left.length > 0; left = left.filter((pid) => readdirSync("/proc").includes(pid))) await sleep(20);
  }

  /** Starts as many processes; resolves when they accept connections. */
  async function started(number) {
    const ports = [];
    for (let n = 0; n < number; n++) ports.push(await freePort());
    const all = ports.map((port) => ({ port, child: begin(port) }));
    for (const one of all) while (!(await accepts(one.port))) await sleep(5);
    return all;
  }

  function stop(all) {
    all.forEach((one) => one.child.kill("SIGTERM"));
  }

  configure();
  main = spawn("nginx", ["-c", conf], { stdio: ["ignore", "ignore", "inherit"] });
  while (!(await accepts(port))) await sleep(20);
  return {
    port,
    scale: async (number) => {
      const surplus = processes.splice(number);
      processes.push(...(await started(number - processes.length)));
      await reload();
      stop(surplus);
    },
    replace: async () => {
      const old = processes;
      processes = await started(old.length);
      await reload();
      stop(old);
    },
    stop: async () => {
      const ended = new Promise((done) => main.once("exit", done));
      main.kill("SIGTERM");
      await ended;
      stop(processes);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

/** Whether a connection is accepted. */
export function accepts(port, host = "127.0.0.1") {
  return new Promise((done) => {
    const socket = connect({ port, host });
    socket.once("connect", () => (socket.destroy(), done(true)));
    socket.once("error", () => done(false));
  });
}

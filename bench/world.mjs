// A platform to measure: the release build on a free port, signed in, with a browser.
import { execFile, execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { cpus, loadavg, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const { chromium } = createRequire(join(root, "end2end/"))("playwright");
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Starts `wharfd up` in a new folder. `stop()` ends it and removes the folder. */
export async function start() {
  const scratch = mkdtempSync(join(tmpdir(), "wharf-bench-"));
  chmodSync(scratch, 0o711);
  const port = await new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
  const data = join(scratch, "data");
  const wharfd = process.env.WHARFD ?? join(root, "target/release/wharfd");
  const up = spawn(wharfd, ["up", "--data", data, "--listen", `127.0.0.1:${port}`, "--domain", "localhost"], { stdio: ["ignore", "pipe", "inherit"] });
  const link = await new Promise((done, fail) => {
    let said = "";
    up.stdout.on("data", (chunk) => {
      said += chunk;
      const found = /http:\S+\/login\/\S+/.exec(said);
      if (found) done(found[0]);
    });
    up.once("exit", (code) => fail(new Error(`wharfd ended (${code}): ${said}`)));
  });
  const token = readFileSync(join(data, "admin-token"), "utf8").trim();
  const base = `http://localhost:${port}`;
  const world = { base, port, data, token, link };
  world.api = async (method, path, body) => {
    const headers = { accept: "application/vnd.heroku+json; version=3", authorization: `Bearer ${token}`, "content-type": "application/json" };
    const answer = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? undefined : answer.json();
  };
  world.deploy = async (app, files) => {
    const folder = mkdtempSync(join(scratch, "repo-"));
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    const identity = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"];
    const git = (...args) => promisify(execFile)("git", [...identity, ...args], { cwd: folder });
    await git("init", "-q");
    await git("add", "-A");
    await git("commit", "-qm", "First version");
    await git("push", "-q", `http://x:${token}@localhost:${port}/${app}.git`, "HEAD:main");
  };
  /** Releases the contents of a folder, `./app`, as a slug with these process types. */
  world.release = async (app, types, folder) => {
    const slug = await world.api("POST", `/apps/${app}/slugs`, { process_types: types });
    const archive = execFileSync("tar", ["czf", "-", "-C", folder, "./app"], { maxBuffer: 1 << 30 });
    const path = slug.blob.url.slice(slug.blob.url.indexOf("/blobs"));
    const put = await fetch(base + path, { method: "PUT", body: archive });
    if (!put.ok) throw new Error(`PUT ${path}: ${put.status} ${await put.text()}`);
    return world.api("POST", `/apps/${app}/releases`, { slug: slug.id });
  };
  /** Milliseconds of CPU used by the server process. */
  world.serverCpu = () => cpuOf(processes().find((pid) => isServer(pid, data)));
  /** Voluntary context switches of all threads of the server process. */
  world.serverSwitches = () => {
    const pid = processes().find((pid) => isServer(pid, data));
    const of = (thread) => Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8"))[1]);
    return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => sum + of(thread), 0);
  };
  /** Megabytes of memory of the server process; pages that it shares with others are divided by their number. */
  world.serverMemory = () => {
    const pid = processes().find((pid) => isServer(pid, data));
    return Number(/^Pss:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))[1]) / 1024;
  };
  /** Milliseconds of CPU used by the database: its processes that run, and those that have ended. */
  world.databaseCpu = () => {
    const main = readFileSync(join(data, "postgres/postmaster.pid"), "utf8").split("\n")[0];
    const children = processes().filter((pid) => fieldsOf(pid)[1] === main);
    const ended = fieldsOf(main);
    return children.reduce((sum, pid) => sum + cpuOf(pid), cpuOf(main) + (Number(ended[13]) + Number(ended[14])) * 10);
  };
  /** Transactions of the database so far. */
  world.transactions = () => {
    const sockets = readFileSync(join(data, "postgres/postmaster.pid"), "utf8").split("\n")[4];
    const query = "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database";
    return Number(execFileSync("psql", ["-h", sockets, "-U", "postgres", "-d", "wharf", "-Atc", query], { encoding: "utf8" }));
  };
  world.stop = async () => {
    up.removeAllListeners("exit");
    const ended = new Promise((done) => up.once("exit", done));
    up.kill("SIGTERM");
    await ended;
    rmSync(scratch, { recursive: true, force: true });
  };
  return world;
}

const processes = () => readdirSync("/proc").filter((pid) => /^\d+$/.test(pid));

/** `/proc/PID/stat` from the state on; empty if the process has ended. */
function fieldsOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ");
  } catch {
    return [];
  }
}

function cpuOf(pid) {
  const fields = fieldsOf(pid);
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10;
}

function isServer(pid, data) {
  try {
    const words = (file) => readFileSync(`/proc/${pid}/${file}`, "utf8").split("\0");
    return words("cmdline")[1] === "server" && words("environ").includes(`WHARF_DATA=${data}`);
  } catch {
    return false;
  }
}

/** A signed-in browser. */
export async function browser(world) {
  const all = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    chromiumSandbox: false,
    args: ["--disable-gpu", "--no-first-run", "--disable-background-networking"],
  });
  const context = await all.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  await page.goto(world.link);
  await page.getByRole("button", { name: /^Sign in as / }).click();
  await page.getByRole("heading", { name: "Apps", level: 1 }).waitFor();
  return { all, context, page, cookie: (await context.cookies()).map((c) => `${c.name}=${c.value}`).join("; ") };
}

/** Kills what a failed measurement left behind. */
const watching = new Set();
process.once("exit", () => watching.forEach((pid) => kill(pid)));

function kill(pid) {
  try {
    process.kill(-pid);
  } catch {
    // It has already exited.
  }
}

/** Requests `path` `rate` times a second, from a separate process; resolves to each request's scheduled time and duration. */
export async function load(world, path, cookie, rate, seconds) {
  const script = join(root, "bench/load.mjs");
  const { stdout } = await promisify(execFile)(process.execPath, [script, world.port, path, cookie, rate, seconds].map(String), { maxBuffer: 1 << 26 });
  return JSON.parse(stdout);
}

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
}

/** Records when the machine itself is slow (machine.py) until `stop()`, which returns these intervals as [begin, end]. */
export function watchMachine() {
  const watch = spawn("python3", [join(root, "bench/machine.py")], { stdio: ["ignore", "pipe", "inherit"], detached: true });
  watching.add(watch.pid);
  const windows = [];
  createInterface(watch.stdout).on("line", (line) => windows.push(line.split(" ").map(Number)));
  return {
    stop: async () => {
      await sleep(50);
      kill(watch.pid);
      watching.delete(watch.pid);
      return windows;
    },
  };
}

/** Whether the machine was slow between two times (Unix, ms). */
export function slowIn(windows, begin, end) {
  return windows.some(([from, to]) => from < end && to > begin);
}

/** The machine's load, for the report. */
export function busy() {
  return `load ${loadavg()[0].toFixed(1)} on ${cpus().length} cores`;
}

/** Writes `text` between the markers of `name` in README.md. */
export function report(name, text) {
  const file = join(root, "bench/README.md");
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const old = readFileSync(file, "utf8");
  const block = `${open}\n${text.trim()}\n${close}`;
  const at = old.indexOf(open);
  writeFileSync(file, at < 0 ? `${old.trimEnd()}\n\n${block}\n` : old.slice(0, at) + block + old.slice(old.indexOf(close) + close.length));
  console.log(text);
}

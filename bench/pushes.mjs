// What the benchmarks of pushes have in common: a repository, pushes, and visitors of the app meanwhile.
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { quantile, sleep } from "./world.mjs";

const identity = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"];

export function git(folder, ...args) {
  return execFileSync("git", [...identity, ...args], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
}

/** Writes files into a repository, which is created when it is missing, and commits them. */
export function commit(folder, files) {
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  git(folder, "init", "-q");
  git(folder, "add", "-A");
  git(folder, "commit", "-qm", "A version");
}

/**
 * Pushes HEAD, while a visitor asks the app every 10 ms. Milliseconds until the push has ended, until the app serves
 * what contains `version`, and during which visitors got errors.
 */
export async function push(folder, remote, { options = [], env = {}, visit, version }) {
  const begin = performance.now();
  const done = promisify(execFile)("git", [...identity, "push", "-q", ...options, remote, "HEAD:main"], { cwd: folder, env: { ...process.env, ...env } });
  const pushed = done.then(() => performance.now() - begin);
  // A failure is thrown by the await below, after the visits.
  let isFailed = false;
  pushed.catch(() => (isFailed = true));
  let errors = 0;
  for (let last = begin; !isFailed; ) {
    const { status, text } = await visit();
    const now = performance.now();
    if (status === 200 && text.includes(version)) return { pushed: await pushed, served: now - begin, errors };
    if (status !== 200) errors += now - last;
    if (now - begin > 120_000) throw new Error(`${remote}: ${version} is not served: ${status} ${text}`);
    last = now;
    await sleep(10);
  }
  return { pushed: await pushed };
}

/** Requests the front page of a site; status 0: no response. */
export function page(port, host, address = "127.0.0.1") {
  return new Promise((done) => {
    const asked = request({ host: address, port, headers: { host }, agent: false }, (answer) => {
      let text = "";
      answer.on("data", (chunk) => (text += chunk));
      answer.on("end", () => done({ status: answer.statusCode, text }));
      answer.on("error", () => done({ status: 0, text }));
    });
    asked.on("error", (error) => done({ status: 0, text: error.message })).end();
  });
}

/** Columns of a table: median and 95th percentile. */
export function columns(values) {
  return `${quantile(values, 0.5).toFixed(0)} | ${quantile(values, 0.95).toFixed(0)}`;
}

/** The median of the ratios per round. */
export function ratio(mine, theirs) {
  return `**${quantile(mine.map((ms, n) => ms / theirs[n]), 0.5).toFixed(2)}**`;
}

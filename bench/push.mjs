// A push of a static site: from `git push` until the new version is served, against git alone with a hook that checks
// the files out for nginx to serve (the usual way without a platform).
import { execFile, execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { busy, quantile, report, sleep, start } from "./world.mjs";

const rounds = Number(process.argv[2] ?? 20);
const files = 20;
const identity = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"];
const scratch = mkdtempSync(join(tmpdir(), "wharf-bench-push-"));
const world = await start();
try {
  await world.api("POST", "/apps", { name: "site" });
  const source = repository();
  const bare = peer();
  const timed = { wharf: [], served: [], git: [] };
  for (let round = 0; round <= rounds; round++) {
    const version = `version ${round}`;
    writeFileSync(join(source, "index.html"), `<!doctype html><title>${version}</title>`);
    git("commit", "-qam", version);
    const [git_ms] = await push(bare);
    const [wharf_ms, at] = await push(`http://x:${world.token}@localhost:${world.port}/site.git`);
    const served_ms = wharf_ms + (await untilServed(version, at));
    // The first push creates caches and the first dyno, which happens once per app.
    if (round > 0) {
      timed.git.push(git_ms);
      timed.wharf.push(wharf_ms);
      timed.served.push(served_ms);
    }
  }
  const ratio = quantile(timed.served.map((ms, n) => ms / timed.git[n]), 0.5);
  const row = (name, values) => `| ${name} | ${quantile(values, 0.5).toFixed(0)} | ${quantile(values, 0.95).toFixed(0)} |`;
  report(
    "push",
    `## Push of a static site

\`bench/push.sh\`: the release build, a site of ${files + 1} files of which one changes, ${rounds} alternating pushes on the same machine (${busy()}). The peer is git alone: a bare repository whose \`post-receive\` hook checks the files out for a web server. It has no release to roll back to, no isolation, no health check and no log. Ratio: median of Wharf / git per round, ${ratio.toFixed(1)}.

| what | p50 ms | p95 ms |
| --- | --: | --: |
${row("Wharf, `git push`", timed.wharf)}
${row("Wharf, until the new version is served", timed.served)}
${row("git with a hook", timed.git)}`,
  );
} finally {
  await world.stop();
  rmSync(scratch, { recursive: true, force: true });
}

function git(...args) {
  return execFileSync("git", [...identity, ...args], { cwd: join(scratch, "source"), stdio: ["ignore", "pipe", "pipe"] });
}

function repository() {
  const source = join(scratch, "source");
  mkdirSync(source);
  writeFileSync(join(source, "index.html"), "");
  for (let n = 0; n < files; n++) writeFileSync(join(source, `page${n}.html`), `<p>${n}</p>\n`.repeat(200));
  git("init", "-q");
  git("add", "-A");
  git("commit", "-qm", "First version");
  return source;
}

function peer() {
  const [bare, served] = [join(scratch, "bare.git"), join(scratch, "served")];
  mkdirSync(served);
  execFileSync("git", [...identity, "init", "-q", "--bare", bare]);
  const hook = join(bare, "hooks/post-receive");
  writeFileSync(hook, `#!/bin/sh\nexec git --work-tree=${served} checkout -qf main\n`);
  chmodSync(hook, 0o755);
  return bare;
}

/** Milliseconds that a push takes, and when it ended. */
async function push(remote) {
  const begin = performance.now();
  await promisify(execFile)("git", [...identity, "push", "-q", remote, "HEAD:main"], { cwd: join(scratch, "source") });
  const at = performance.now();
  return [at - begin, at];
}

/** Milliseconds from `at` until the app serves `version`. */
async function untilServed(version, at) {
  while (!(await page()).includes(version)) await sleep(5);
  return performance.now() - at;
}

function page() {
  return new Promise((done, fail) => {
    const options = { host: "127.0.0.1", port: world.port, headers: { host: `site.localhost:${world.port}` } };
    const asked = request(options, (answer) => {
      let text = "";
      answer.on("data", (chunk) => (text += chunk));
      answer.on("end", () => done(text));
    });
    asked.on("error", fail).end();
  });
}

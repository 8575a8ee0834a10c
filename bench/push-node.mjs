// A push of a Node.js app without packages: from `git push` until the new version is served. Cold: the first push of an
// app, on a machine that has the runtime; warm: the following ones. The very first push also downloads the runtime.
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { busy, quantile, report, sleep, start } from "./world.mjs";

const rounds = Number(process.argv[2] ?? 10);
const identity = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"];
const scratch = mkdtempSync(join(tmpdir(), "wharf-bench-push-node-"));
const world = await start();
try {
  const timed = { download: [], cold: [], warm: [] };
  for (let round = 0; round <= rounds; round++) {
    const app = `node${round}`;
    await world.api("POST", "/apps", { name: app });
    const source = join(scratch, app);
    mkdirSync(source);
    execFileSync("git", [...identity, "init", "-q"], { cwd: source });
    timed[round === 0 ? "download" : "cold"].push(await deploy(app, source, "first"));
    if (round > 0) timed.warm.push(await deploy(app, source, "second"));
    await world.api("DELETE", `/apps/${app}`);
  }
  const row = (name, values) => `| ${name} | ${quantile(values, 0.5).toFixed(0)} | ${quantile(values, 0.95).toFixed(0)} |`;
  report(
    "push-node",
    `## Push of a Node.js app

\`bench/push.sh\`: the release build, an app with a \`package.json\` and a server, without packages; ${rounds} apps with two pushes each (${busy()}), from \`git push\` until the new version is served. Cold: the first push of an app; the machine has the runtime. Warm: the second.

| what | p50 ms | p95 ms |
| --- | --: | --: |
${row("first push on the machine, with the download of Node.js and npm", timed.download)}
${row("cold", timed.cold)}
${row("warm", timed.warm)}`,
  );
} finally {
  await world.stop();
  rmSync(scratch, { recursive: true, force: true });
}

/** Pushes a version of an app; milliseconds until it is served. */
async function deploy(app, source, version) {
  const manifest = { name: app, engines: { node: "22.x" }, scripts: { start: "node server.js" } };
  writeFileSync(join(source, "package.json"), JSON.stringify(manifest));
  const answer = JSON.stringify(`${app} ${version}`);
  writeFileSync(join(source, "server.js"), `require("http").createServer((_, r) => r.end(${answer})).listen(process.env.PORT);\n`);
  const git = (...args) => promisify(execFile)("git", [...identity, ...args], { cwd: source });
  await git("add", "-A");
  await git("commit", "-qm", version);
  const begin = performance.now();
  await git("push", "-q", `http://x:${world.token}@localhost:${world.port}/${app}.git`, "HEAD:main");
  while (!(await page(app)).includes(`${app} ${version}`)) await sleep(5);
  return performance.now() - begin;
}

function page(app) {
  return new Promise((done, fail) => {
    const options = { host: "127.0.0.1", port: world.port, headers: { host: `${app}.localhost:${world.port}` } };
    const asked = request(options, (answer) => {
      let text = "";
      answer.on("data", (chunk) => (text += chunk));
      answer.on("end", () => done(text));
    });
    asked.on("error", fail).end();
  });
}

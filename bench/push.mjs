// A push of a static site: from `git push` until the new version is served, against Piku, and against git alone with a
// hook that checks the files out for nginx to serve (the usual way without a platform).
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HOST, piku } from "./piku.mjs";
import { columns, commit, git, page, push, ratio } from "./pushes.mjs";
import { busy, report, start } from "./world.mjs";

const rounds = Number(process.argv[2] ?? 20);
const pages = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`page${n}.html`, `<p>${n}</p>\n`.repeat(200)]));
const scratch = mkdtempSync(join(tmpdir(), "wharf-bench-push-"));
chmodSync(scratch, 0o711);
const world = await start();
const peer = await piku(scratch);
try {
  const seen = {};
  const systems = { ...(await wharf()), ...pikus(), ...gits() };
  for (let round = 0; round <= rounds; round++) {
    for (const [name, { folder, remote, files = {}, ...how }] of Object.entries(systems)) {
      const version = `version ${round} of ${name}`;
      commit(folder, { "index.html": `<!doctype html><title>${version}</title>`, ...(round === 0 && { ...pages, ...files }) });
      const took = await push(folder, remote, { ...how, version });
      // The first push creates caches and the first dyno, which happens once per app.
      if (round > 0) (seen[name] ??= []).push(took);
    }
  }
  const of = (name, what) => seen[name].map((took) => took[what]);
  const before = { Wharf: 410, Piku: 260 };
  const row = (name) => {
    const factor = (what) => (name === "Wharf" ? "" : ratio(of("Wharf", what), of(name, what)));
    return `| ${name} | ${columns(of(name, "pushed"))} | ${factor("pushed")} | ${before[name] ?? ""} | ${columns(of(name, "served"))} | ${factor("served")} | ${columns(of(name, "errors"))} |`;
  };
  report(
    "push",
    `## Push of a static site

\`bench/push.sh\`: the release build, a site of 21 files of which one changes, ${rounds} alternating pushes on the same machine (${busy()}). Wharf: \`wait=up\` and no watch period, since the peers wait for nothing. Piku: without ssh, with a certificate that is there; ${peer ? "nginx is reloaded when it has written a configuration" : "**left out: it could not run here**"}. git alone: a bare repository whose \`post-receive\` hook checks the files out for a web server; its file is read directly. The peers have no release to roll back to, no isolation, no health check and no log. Served: from \`git push\` until a visitor gets the new version. Errors: how long visitors, who ask every 10 ms, got something else than a page. Ratio: median of Wharf / peer per round. Before: the release before the hot paths were reworked, measured then, with other scripts. Goal: at most 0.5 of Piku.

| what | pushed, p50 ms | p95 | Wharf / peer | before, ms | served, p50 ms | p95 | Wharf / peer | errors, p50 ms | p95 |
| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |
${Object.keys(systems).map(row).join("\n")}`,
  );
} finally {
  await peer?.stop();
  await world.stop();
  rmSync(scratch, { recursive: true, force: true });
}

async function wharf() {
  await world.api("POST", "/apps", { name: "site" });
  await world.api("PATCH", "/apps/site", { watch_seconds: 0 });
  return {
    Wharf: {
      folder: join(scratch, "wharf"),
      remote: `http://x:${world.token}@localhost:${world.port}/site.git`,
      options: ["-o", "wait=up"],
      visit: () => page(world.port, `site.localhost:${world.port}`),
    },
  };
}

function pikus() {
  if (!peer) return {};
  peer.certify("site");
  return {
    Piku: {
      folder: join(scratch, "with-piku"),
      remote: "piku@bench:site",
      files: { Procfile: "static: .\n", ENV: peer.settings("site") },
      env: { GIT_SSH_COMMAND: peer.ssh, GIT_SSH_VARIANT: "simple" },
      visit: () => page(80, "site.piku.test", HOST),
    },
  };
}

function gits() {
  const [bare, served] = [join(scratch, "bare.git"), join(scratch, "served")];
  mkdirSync(served);
  git(scratch, "init", "-q", "--bare", bare);
  const hook = join(bare, "hooks/post-receive");
  writeFileSync(hook, `#!/bin/sh\nexec git --work-tree=${served} checkout -qf main\n`);
  chmodSync(hook, 0o755);
  const file = join(served, "index.html");
  const visit = async () => (existsSync(file) ? { status: 200, text: readFileSync(file, "utf8") } : { status: 404, text: "" });
  return { "git with a hook": { folder: join(scratch, "alone"), remote: bare, visit } };
}

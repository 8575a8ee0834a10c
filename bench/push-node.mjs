// A push of a Node.js app without packages: from `git push` until the new version is served, against Piku. Cold: the
// first push of an app, on a machine that has the runtime; warm: the following one. The very first push also downloads
// the runtime.
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HOST, piku } from "./piku.mjs";
import { columns, commit, page, push, ratio } from "./pushes.mjs";
import { busy, report, start } from "./world.mjs";

const rounds = Number(process.argv[2] ?? 10);
const scratch = mkdtempSync(join(tmpdir(), "wharf-bench-push-node-"));
chmodSync(scratch, 0o711);
const world = await start();
const peer = await piku(scratch);
try {
  const seen = {};
  const systems = { Wharf: wharf, ...(peer && { Piku: pikus }) };
  for (let round = 0; round <= rounds; round++) {
    for (const [name, system] of Object.entries(systems)) {
      const app = `node${round}`;
      const { remote, files = {}, begin, end, ...how } = system(app);
      const folder = join(scratch, `${name}-${app}`);
      await begin();
      for (const kind of ["cold", "warm"]) {
        const version = `${app} ${kind}`;
        commit(folder, { ...files, ...source(app, version) });
        (seen[`${name}|${round === 0 ? `first, ${kind}` : kind}`] ??= []).push(await push(folder, remote, { ...how, version }));
      }
      await end();
    }
  }
  const of = (name, kind, what) => seen[`${name}|${kind}`].map((took) => took[what]);
  const before = { "Wharf|first, cold": 11700, "Wharf|warm": 4200, "Piku|cold": 2900, "Piku|warm": 3500 };
  const row = (name, title, kind) => {
    const factor = name === "Wharf" ? "" : ratio(of("Wharf", kind, "served"), of(name, kind, "served"));
    return `| ${name} | ${title} | ${columns(of(name, kind, "served"))} | ${factor} | ${before[`${name}|${kind}`] ?? ""} | ${columns(of(name, kind, "errors"))} |`;
  };
  const rows = [row("Wharf", "first on the machine, with the download of Node.js and npm", "first, cold")];
  for (const kind of ["cold", "warm"]) rows.push(...Object.keys(systems).map((name) => row(name, kind, kind)));
  report(
    "push-node",
    `## Push of a Node.js app

\`bench/push.sh\`: the release build, an app with a \`package.json\` and a server, without packages; ${rounds} apps with two pushes each, alternating (${busy()}), from \`git push\` until a visitor gets the new version. Cold: the first push of an app; the machine has the runtime. Warm: the second. Wharf: \`wait=up\` and no watch period, since Piku waits for nothing. Piku: without ssh, with the machine's Node.js and a certificate that is there${peer ? "" : "; **left out: it could not run here**"}. Errors: how long visitors, who ask every 10 ms, got something else than a page; on the first push of an app there is nothing else to get. Ratio: median of Wharf / peer per round. Before: the release before runtimes were cached per machine, measured then, with other scripts. Goal: 1,500 ms cold, 1,000 ms warm.

| what | push | served, p50 ms | p95 | Wharf / peer | before, ms | errors, p50 ms | p95 |
| --- | --- | --: | --: | --: | --: | --: | --: |
${rows.join("\n")}`,
  );
} finally {
  await peer?.stop();
  await world.stop();
  rmSync(scratch, { recursive: true, force: true });
}

function source(app, version) {
  const manifest = { name: app, engines: { node: "22.x" }, scripts: { start: "node server.js" } };
  const server = `require("http").createServer((_, r) => r.end(${JSON.stringify(version)})).listen(process.env.PORT);\n`;
  return { "package.json": JSON.stringify(manifest), "server.js": server };
}

function wharf(app) {
  return {
    remote: `http://x:${world.token}@localhost:${world.port}/${app}.git`,
    options: ["-o", "wait=up"],
    visit: () => page(world.port, `${app}.localhost:${world.port}`),
    begin: async () => {
      await world.api("POST", "/apps", { name: app });
      await world.api("PATCH", `/apps/${app}`, { watch_seconds: 0 });
    },
    end: () => world.api("DELETE", `/apps/${app}`),
  };
}

function pikus(app) {
  return {
    remote: `piku@bench:${app}`,
    files: { Procfile: "web: node server.js\n", ENV: peer.settings(app) },
    env: { GIT_SSH_COMMAND: peer.ssh, GIT_SSH_VARIANT: "simple" },
    visit: () => page(80, `${app}.piku.test`, HOST),
    begin: () => peer.certify(app),
    end: () => peer.destroy(app),
  };
}

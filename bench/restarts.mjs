// Restarts of an app while a large slug of another one is unpacked.
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { busy, quantile, report, sleep, start } from "./world.mjs";

const rounds = Number(process.argv[2] ?? 5);
const files = 10_000;
const types = { worker: "exec sleep 1000000" };
const scratch = mkdtempSync(join(tmpdir(), "wharf-bench-restarts-"));
const world = await start();
try {
  const [small, large] = ["small", "large"].map((name) => join(scratch, name));
  for (const folder of [small, large]) mkdirSync(join(folder, "app"), { recursive: true });
  writeFileSync(join(small, "app/file"), "");
  for (let n = 0; n < files; n++) writeFileSync(join(large, `app/${n}`), randomBytes(4096));
  for (const app of ["small", "large"]) {
    await world.api("POST", "/apps", { name: app });
    await world.api("PATCH", `/apps/${app}`, { watch_seconds: 0 });
    await world.release(app, types, small);
    await world.api("PATCH", `/apps/${app}/formation/worker`, { quantity: 1 });
    await up(app, () => true);
  }
  const [quiet, meanwhile] = [[], []];
  for (let round = 0; round < rounds; round++) {
    for (let n = 0; n < 5; n++) quiet.push(await restart());
    const { version } = await world.release("large", types, large);
    let isUnpacked = false;
    const unpacked = up("large", (dyno) => dyno.release.version === version).then(() => (isUnpacked = true));
    while (!isUnpacked) meanwhile.push(await restart());
    await unpacked;
  }
  const row = (name, times) => `| ${name} | ${times.length} | ${quantile(times, 0.5).toFixed(0)} | ${quantile(times, 0.95).toFixed(0)} |`;
  report(
    "restarts",
    `## Restarts while a slug is unpacked

\`bench/restarts.sh\`: the release build; a worker is restarted until its new dyno is up, again and again, while a slug of ${files} files of another app is unpacked, ${rounds} times on the same machine (${busy()}). The process of unpacking and the restart share the cores. Before: 520 to 758 ms instead of 14, when the supervisor itself unpacked slugs, measured then, with other scripts.

| meanwhile | restarts | p50 ms | p95 ms |
| --- | --: | --: | --: |
${row("nothing", quiet)}
${row("a slug is unpacked", meanwhile)}`,
  );
} finally {
  await world.stop();
  rmSync(scratch, { recursive: true });
}

/** Milliseconds until a restarted worker is up. */
async function restart() {
  const [before] = await world.api("GET", "/apps/small/dynos");
  const begin = performance.now();
  await world.api("DELETE", "/apps/small/dynos");
  await up("small", (dyno) => dyno.id !== before.id);
  return performance.now() - begin;
}

/** Waits until an app has a dyno that is up, and `isSo`. */
async function up(app, isSo) {
  while (!(await world.api("GET", `/apps/${app}/dynos`)).some((dyno) => dyno.state === "up" && isSo(dyno))) await sleep(5);
}

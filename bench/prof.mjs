import http from "node:http";
import { execSync, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { ask, quantile, sleep, start } from "./world.mjs";
const world = await start();
const cpu = () => { // per process group name
  const out = {};
  for (const pid of readdirSync("/proc").filter((p) => /^\d+$/.test(p))) {
    try {
      const env = readFileSync(`/proc/${pid}/environ`, "utf8");
      const cmd = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      if (!cmd.includes(world.data) && !env.includes(world.data)) continue;
      const f = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ");
      const k = cmd.startsWith("postgres") || cmd.includes("postgres") ? "postgres" : cmd.split(" ").slice(1, 2)[0];
      out[k] = (out[k] ?? 0) + (Number(f[11]) + Number(f[12])) * 10;
    } catch {}
  }
  return out;
};
try {
  for (let n = 0; n < 99; n++) await world.api("POST", "/apps", { name: `app-${String(n).padStart(3, "0")}` });
  await world.api("POST", "/apps", { name: "harbour" });
  await world.api("POST", "/apps/harbour/samples/static");
  while ((await world.api("GET", "/apps/harbour/status")).condition !== "up") await sleep(500);
  for (let n = 0; n < 40; n++) await world.api("PATCH", "/apps/harbour/config-vars", { STEP: String(n) });
  while ((await world.api("GET", "/apps/harbour/status")).condition !== "up") await sleep(500);
  await sleep(15_000);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  const serverPid = execSync(`pgrep -f 'wharfd server'`).toString().trim().split("\n").find((p) => readFileSync(`/proc/${p}/environ`, "utf8").includes(world.data));
  const idle0 = cpu(); await sleep(5000); const idle1 = cpu();
  console.log("idle ms/s", JSON.stringify(Object.fromEntries(Object.entries(idle1).map(([k, v]) => [k, ((v - (idle0[k] ?? 0)) / 5)]))));
  for (const path of (process.env.PATHS ?? "/apps,/apps/harbour,/apps/harbour/activity,/apps/harbour/logs,/apps/harbour/metrics,/apps/harbour/settings,/platform,/account").split(",")) {
    const { url } = await world.api("POST", "/account/sign-in-links");
    const cookie = (await fetch(url, { redirect: "manual" })).headers.getSetCookie()[0].split(";")[0];
    await ask(world, agent, path, cookie);
    const perf = process.env.PERF ? spawn("perf", ["record", "-F", "150", "--call-graph", "dwarf,32768", "-o", `/tmp/h/perf${path.replaceAll("/", "_")}`, "-p", serverPid, "--", "sleep", "8"], { stdio: "ignore" }) : null;
    const c0 = cpu();
    const asked = [];
    for (let n = 0; n < 400; n++) { asked.push(ask(world, agent, path, cookie)); await sleep(20 - 0.5); }
    const times = await Promise.all(asked);
    const c1 = cpu();
    if (perf) await new Promise((r) => perf.once("exit", r));
    const per = Object.fromEntries(Object.entries(c1).map(([k, v]) => [k, ((v - (c0[k] ?? 0)) / 400).toFixed(1)]));
    console.log(path, quantile(times, 0.5).toFixed(1), quantile(times, 0.99).toFixed(1), "cpu ms/page", JSON.stringify(per));
  }
} finally { await world.stop(); }

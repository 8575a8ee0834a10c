// The cost of an idle platform: CPU, memory and context switches of the server, and CPU and transactions of the
// database, without dynos, with a few, with a hundred that do nothing, and with one more that has crashed and waits for
// its next start.
import { busy, report, sleep, start } from "./world.mjs";

const FEW = 4;
const DYNOS = Number(process.env.DYNOS ?? 100);
const SECONDS = Number(process.env.LENGTH ?? 120);

const world = await start();
try {
  await world.api("POST", "/apps", { name: "many" });
  await world.deploy("many", { "requirements.txt": "", Procfile: "idle: sleep 1000000\n" });
  await world.api("POST", "/apps", { name: "crash" });
  await world.deploy("crash", { "requirements.txt": "", Procfile: "crash: exit 1\n" });
  await scale("many", "idle", 0);
  await scale("crash", "crash", 0);
  await sleep(15_000);
  const rows = [row("0", await measure())];
  for (const dynos of [FEW, DYNOS]) {
    await scale("many", "idle", dynos);
    while ((await world.api("GET", "/apps/many/dynos")).filter((dyno) => dyno.state === "up").length < dynos) await sleep(2000);
    await sleep(30_000);
    rows.push(row(dynos, await measure()));
  }
  await scale("crash", "crash", 1);
  // It is started again at once the first time, and then after pauses of minutes.
  await sleep(30_000);
  rows.push(row(`${DYNOS}, and one that crashed`, await measure()));
  report("sampling", `## An idle platform

\`bench/sampling.sh\`: over ${SECONDS} s, nobody uses the platform (${busy()}). Sampling, log tails and reconciling together. Before: the release whose supervisor looked at everything several times a second, measured then, with other scripts. Goals: 0.3 % of a core with few apps, 1 % with a hundred dynos; 60 MB with ${FEW} dynos.

| dynos | server, % of a core | before | its context switches per second | database, % of a core | transactions per second | before | memory of the server, MB | before |
| --- | --: | --: | --: | --: | --: | --: | --: | --: |
${rows.join("\n")}
`);
} finally {
  await world.stop();
}

function scale(app, type, quantity) {
  return world.api("PATCH", `/apps/${app}/formation`, { updates: [{ type, quantity }] });
}

async function measure() {
  const look = () => [world.serverCpu(), world.databaseCpu(), world.serverSwitches(), world.transactions()];
  const [before, begun] = [look(), Date.now()];
  await sleep(SECONDS * 1000);
  const took = Date.now() - begun;
  const [cpu, database, switches, transactions] = look().map((now, i) => (now - before[i]) / took);
  return { cpu: cpu * 100, database: database * 100, switches: switches * 1000, transactions: transactions * 1000, memory: world.serverMemory() };
}

function row(dynos, { cpu, database, switches, transactions, memory }) {
  const figures = { [FEW]: ["2", "", "103"], [DYNOS]: ["1.7", "3", ""], [`${DYNOS}, and one that crashed`]: ["4.4", "28", ""] };
  const [share, rate, megabytes] = figures[dynos] ?? ["", "", ""];
  return `| ${dynos} | ${cpu.toFixed(2)} | ${share} | ${switches.toFixed(0)} | ${database.toFixed(2)} | ${transactions.toFixed(1)} | ${rate} | ${memory.toFixed(0)} | ${megabytes} |`;
}

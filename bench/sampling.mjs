// The cost of an idle platform: CPU and memory of the server, its context switches, and CPU of the database, without dynos and with
// a hundred that do nothing.
import { busy, report, sleep, start } from "./world.mjs";

const DYNOS = Number(process.env.DYNOS ?? 100);
const SECONDS = Number(process.env.LENGTH ?? 120);

const world = await start();
try {
  await world.api("POST", "/apps", { name: "many" });
  world.deploy("many", { "requirements.txt": "", Procfile: "idle: sleep 1000000\n" });
  await world.api("PATCH", "/apps/many/formation", { updates: [{ type: "idle", quantity: 0 }] });
  await sleep(15_000);
  const measure = async () => {
    const look = () => [world.serverCpu(), world.databaseCpu(), world.serverSwitches()];
    const [before, begun] = [look(), Date.now()];
    await sleep(SECONDS * 1000);
    const took = Date.now() - begun;
    const [cpu, database, switches] = look().map((now, i) => now - before[i]);
    const memory = world.serverMemory();
    return { cpu: (cpu / took) * 100, database: (database / took) * 100, switches: (switches / took) * 1000, memory };
  };
  const without = await measure();
  await world.api("PATCH", "/apps/many/formation", { updates: [{ type: "idle", quantity: DYNOS }] });
  const up = async () => (await world.api("GET", "/apps/many/dynos")).filter((d) => d.state === "up").length;
  while ((await up()) < DYNOS) await sleep(2000);
  await sleep(30_000);
  const withThem = await measure();
  const row = (dynos, { cpu, database, switches, memory }) =>
    `| ${dynos} | ${cpu.toFixed(2)} | ${switches.toFixed(0)} | ${database.toFixed(2)} | ${memory.toFixed(0)} |`;
  report("sampling", `## An idle platform

\`bench/sampling.sh\`: over ${SECONDS} s, nobody uses the platform (${busy()}). Goals: 0.3 % of a core without dynos, 1 % with a hundred; 60 MB with few.

| dynos | server, % of a core | its context switches per second | database, % of a core | memory of the server, MB |
| --: | --: | --: | --: | --: |
${row(0, without)}
${row(DYNOS, withThem)}

So ${DYNOS} dynos cost the server ${(withThem.cpu - without.cpu).toFixed(2)} % of a core for sampling, log tails and reconciling together.
`);
} finally {
  await world.stop();
}

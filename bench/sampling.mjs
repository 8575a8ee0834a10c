// The cost of sampling the metrics of many dynos: CPU of the server with none and with a hundred.
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
    const [cpu, begun] = [world.serverCpu(), Date.now()];
    await sleep(SECONDS * 1000);
    return ((world.serverCpu() - cpu) / (Date.now() - begun)) * 100;
  };
  const without = await measure();
  await world.api("PATCH", "/apps/many/formation", { updates: [{ type: "idle", quantity: DYNOS }] });
  const up = async () => (await world.api("GET", "/apps/many/dynos")).filter((d) => d.state === "up").length;
  while ((await up()) < DYNOS) await sleep(2000);
  await sleep(30_000);
  const withThem = await measure();
  report("sampling", `## Sampling

\`bench/sampling.sh\`: total CPU of the server process over ${SECONDS} s (${busy()}).

| dynos | % of a core |
| --: | --: |
| 0 | ${without.toFixed(2)} |
| ${DYNOS} | ${withThem.toFixed(2)} |

So ${DYNOS} dynos cost ${(withThem - without).toFixed(2)} % of a core for sampling, log tails and reconciling together.
`);
} finally {
  await world.stop();
}

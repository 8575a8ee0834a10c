// Pages: rendered at 50 requests a second with 100 apps, and interactive in a browser.
import { browser, busy, load, quantile, report, sleep, slowIn, start, watchMachine } from "./world.mjs";

const APPS = 100;
const RATE = 50;
// Requests queued while the machine was slow are done after this many ms.
const BACKLOG = 100;
const SECONDS = Number(process.env.LENGTH ?? 8);

const world = await start();
try {
  for (let n = 0; n < APPS - 1; n++) await world.api("POST", "/apps", { name: `app-${String(n).padStart(3, "0")}` });
  await world.api("POST", "/apps", { name: "harbour" });
  await world.api("POST", "/apps/harbour/samples/static");
  while ((await world.api("GET", "/apps/harbour/status")).condition !== "up") await sleep(500);
  for (let n = 0; n < 40; n++) await world.api("PATCH", "/apps/harbour/config-vars", { STEP: String(n) });
  // Forty releases start forty dynos in sequence: not part of the measurement.
  while ((await world.api("GET", "/apps/harbour/status")).condition !== "up") await sleep(500);
  await sleep(15_000);
  const { all, page, context } = await browser(world);
  const paths = ["/apps", "/apps/harbour", "/apps/harbour/activity", "/apps/harbour/logs", "/apps/harbour/metrics", "/apps/harbour/settings", "/platform", "/account"];
  const rows = [];
  for (const path of paths) {
    // A separate session: a page makes several API requests, and a session is limited to 4,500.
    const cookie = await signedIn();
    await load(world, path, cookie, 5, 1);
    const machine = watchMachine();
    const asked = await load(world, path, cookie, RATE, SECONDS);
    const slow = await machine.stop();
    const times = asked.map(([, ms]) => ms);
    // The same window for all, or slow requests would be excluded more often.
    const usual = quantile(times, 0.5);
    const calm = asked.filter(([due]) => !slowIn(slow, due - BACKLOG, due + usual)).map(([, ms]) => ms);
    const text = await (await fetch(world.base + path, { headers: { accept: "text/html", cookie } })).text();
    if (text.includes("reached the API limit")) throw new Error(`${path}: measured an error page`);
    const shown = await alive(page, context, world.base + path);
    await page.goto("about:blank");
    rows.push(`| \`${path}\` | ${quantile(times, 0.5).toFixed(1)} | ${quantile(times, 0.99).toFixed(1)} | ${quantile(calm, 0.99).toFixed(1)} | ${((100 * calm.length) / times.length).toFixed(0)} % | ${shown.cold.toFixed(0)} | ${shown.warm.toFixed(0)} | ${shown.shift.toFixed(3)} | ${(shown.html / 1024).toFixed(0)} |`);
    console.error(rows.at(-1));
  }
  await all.close();
  report("pages", `## Pages of the console

\`bench/pages.sh\`: the release build with ${APPS} apps, one of them with 42 releases. One client on the same machine (${busy()}) requests each page ${RATE} times a second for ${SECONDS} s, open-loop. Calm: requests scheduled while the machine itself was not slow, from ${BACKLOG} ms before to the p50 after (\`bench/machine.py\`: a fixed task took less than five times its usual time). Interactive: from navigation until the page responds to input, with a cold and a warm cache. Shift: the browser's cumulative layout shift, 3 s after loading.

| page | p50 ms | p99 ms | p99 ms, calm | calm | interactive, cold ms | interactive, warm ms | shift | HTML KB |
| --- | --: | --: | --: | --: | --: | --: | --: | --: |
${rows.join("\n")}
`);
} finally {
  await world.stop();
}

/** The cookie of a new session. */
async function signedIn() {
  const { url } = await world.api("POST", "/account/sign-in-links");
  const headers = { origin: new URL(url).origin };
  const answer = await fetch(url, { method: "POST", headers, redirect: "manual" });
  return answer.headers.getSetCookie()[0].split(";")[0];
}

/** How long a page takes to become interactive, and its layout shift while loading. */
async function alive(page, context, url) {
  const session = await context.newCDPSession(page);
  const once = async () => {
    await page.goto("about:blank");
    const begun = performance.now();
    await page.goto(url, { waitUntil: "commit" });
    await page.waitForSelector("html[data-alive]", { state: "attached" });
    return performance.now() - begun;
  };
  await session.send("Network.clearBrowserCache");
  const cold = await once();
  const warm = quantile([await once(), await once(), await once()], 0.5);
  await page.evaluate(() => {
    window.shift = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((e) => (window.shift += e.value))).observe({ type: "layout-shift", buffered: true });
  });
  await sleep(3000);
  const html = (await (await page.request.get(url, { headers: { accept: "text/html" } })).body()).length;
  return { cold, warm, shift: await page.evaluate(() => window.shift), html };
}

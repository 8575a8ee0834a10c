// A log flood: the page's memory and frame times at 5,000 lines a second.
import { browser, busy, quantile, report, sleep, slowIn, start, watchMachine } from "./world.mjs";

const RATE = 5000;
const SECONDS = Number(process.env.LENGTH ?? 300);

const world = await start();
try {
  await world.api("POST", "/apps", { name: "flood" });
  await world.deploy("flood", {
    "requirements.txt": "",
    Procfile: "web: python3 -u serve.py\nflood: python3 -u flood.py\n",
    "serve.py": "import http.server, os\nhttp.server.ThreadingHTTPServer(('', int(os.environ['PORT'])), http.server.SimpleHTTPRequestHandler).serve_forever()\n",
    // One batch every tenth of a second.
    "flood.py": `import sys, time
n, at = 0, time.monotonic()
while True:
    sys.stdout.write("".join("\\x1b[32minfo\\x1b[0m request %d took %d ms, from the flood of lines\\n" % (i, i % 97) for i in range(n, n + ${RATE / 10})))
    n += ${RATE / 10}
    at += 0.1
    time.sleep(max(0, at - time.monotonic()))
`,
  });
  const { all, page, context } = await browser(world);
  await page.goto(`${world.base}/apps/flood/logs`);
  await page.waitForSelector("html[data-alive]", { state: "attached" });
  await world.api("PATCH", "/apps/flood/formation", { updates: [{ type: "flood", quantity: 1 }] });
  await page.getByRole("log", { name: "Log lines" }).getByText("from the flood").first().waitFor();
  await page.evaluate(() => {
    window.frames_ = [];
    window.tasks_ = [];
    new PerformanceObserver((list) => list.getEntries().forEach((e) => window.tasks_.push(e.duration))).observe({ type: "longtask" });
    let last = performance.now();
    requestAnimationFrame(function frame(now) {
      window.frames_.push([performance.timeOrigin + last, now - last]);
      last = now;
      requestAnimationFrame(frame);
    });
  });
  const session = await context.newCDPSession(page);
  await session.send("Performance.enable");
  // Garbage collection costs a frame or two: only before and after.
  const heap = async (collect) => {
    if (collect) await session.send("HeapProfiler.collectGarbage");
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find((m) => m.name === "JSHeapUsedSize").value / 1e6;
  };
  const newest = async () => (await world.api("GET", "/apps/flood/log-lines?lines=1"))[0].seq;
  const [first, memory] = [await newest(), [await heap(true)]];
  await page.evaluate(() => void (window.frames_ = [], window.tasks_ = []));
  const [machine, begun, cpu] = [watchMachine(), Date.now(), world.serverCpu()];
  const server = [world.serverMemory()];
  for (let s = 0; s < SECONDS; s += 30) {
    await sleep(Math.min(30, SECONDS - s) * 1000);
    server.push(world.serverMemory());
    if (s + 30 < SECONDS) memory.push(await heap(false));
  }
  const seconds = (Date.now() - begun) / 1000;
  const lines = ((await newest()) - first) / seconds;
  const used = (world.serverCpu() - cpu) / seconds / 10;
  const slow = await machine.stop();
  const { drawn, tasks, text } = await page.evaluate(() => ({ drawn: window.frames_, tasks: window.tasks_, text: document.querySelector(".lf").innerText }));
  memory.push(await heap(true));
  await all.close();
  const [frames, long] = [drawn.map(([, ms]) => ms), drawn.filter(([, ms]) => ms > 50)];
  const ours = long.filter(([at, ms]) => !slowIn(slow, at, at + ms));
  report("logs", `## A log flood

\`bench/logs.sh\`: an app writes ${RATE} lines a second for ${seconds.toFixed(0)} s; its log page tails them in Chromium without a GPU, on the same machine (${busy()}). Slow: \`bench/machine.py\` saw a fixed task take five times its usual time.

| what | figure |
| --- | --: |
| lines a second stored in the history | ${lines.toFixed(0)} |
| frames; longest; p99 | ${frames.length}; ${Math.max(...frames).toFixed(0)} ms; ${quantile(frames, 0.99).toFixed(1)} ms |
| frames over 50 ms; of these, while the machine itself was not slow | ${long.length}; ${ours.length} |
| long tasks of the page (over 50 ms); longest | ${tasks.length}; ${Math.max(0, ...tasks).toFixed(0)} ms |
| page heap, every 30 s (garbage collected before the first and the last; the recorded frame times account for a megabyte of the last) | ${memory.map((m) => m.toFixed(1)).join(", ")} MB |
| CPU of the server | ${used.toFixed(0)} % of a core |
| memory of the server, every 30 s (goal: the flood adds at most 64 MB) | ${server.map((m) => m.toFixed(0)).join(", ")} MB |
| page footer | ${text.split("\n")[0]}${/left out/.test(text) ? `, ${/[\d,]+ lines? left out/.exec(text)[0]}` : ", none left out"} |
`);
} finally {
  await world.stop();
}

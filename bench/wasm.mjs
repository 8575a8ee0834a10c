// The WASM that each page loads with an empty cache, as counted by the browser.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { browser, report, start } from "./world.mjs";

/** A module, or the modules of a bundle. */
const CODE = /\.(wasm|bin)$/;

const world = await start();
try {
  await world.api("POST", "/apps", { name: "harbour" });
  await world.api("POST", "/teams", { name: "crew" });
  const { all, context } = await browser(world);
  const signedIn = await context.storageState();
  const app = ["", "/activity", "/resources", "/logs", "/metrics", "/settings"].map((tab) => `/apps/harbour${tab}`);
  const pages = ["/login", "/apps", "/apps/new", ...app, "/teams", "/teams/crew", "/platform", "/sign-in", "/audit", "/account"];
  const rows = [];
  for (const path of pages) {
    // Each page in a fresh context with an empty cache.
    const fresh = await all.newContext({ storageState: path === "/login" ? undefined : signedIn });
    const loaded = await loads(fresh, world.base + path);
    await fresh.close();
    rows.push(row(`\`${path}\``, loaded));
    console.error(rows.at(-1));
  }
  await all.close();
  report("wasm", `## WASM of the console

\`bench/wasm.sh\`: the WASM that a browser with an empty cache loads per page, and the total. A page's code is in the main module, in the part that most pages share, and in the files of its bundles (\`app/src/bundles.rs\`).

| page | files | raw KB | brotli KB |
| --- | --: | --: | --: |
${rows.join("\n")}
${row("total", everything())}
`);
} finally {
  await world.stop();
}

/** Loads a page until it is interactive; resolves to the sizes of the loaded WASM. */
async function loads(context, url) {
  const page = await context.newPage();
  const files = new Map();
  page.on("requestfinished", (request) => {
    if (!CODE.test(request.url())) return;
    files.set(request.url(), Promise.all([request.response().then((r) => r.body()), request.sizes()]));
  });
  await page.goto(url);
  await page.waitForSelector("html[data-alive]", { state: "attached" });
  const came = await Promise.all(files.values());
  return came.map(([body, sizes]) => ({ raw: body.length, brotli: sizes.responseBodySize }));
}

function everything() {
  const site = join(resolve(dirname(fileURLToPath(import.meta.url)), ".."), "target/site");
  const { js } = JSON.parse(readFileSync(join(site, "manifest.json"), "utf8"));
  const folder = join(site, dirname(js));
  const names = readdirSync(folder).filter((name) => CODE.test(name));
  const size = (name) => readFileSync(join(folder, name)).length;
  return names.map((name) => ({ raw: size(name), brotli: size(`${name}.br`) }));
}

function row(name, files) {
  const sum = (what) => (files.reduce((all, file) => all + file[what], 0) / 1000).toFixed(0);
  return `| ${name} | ${files.length} | ${sum("raw")} | ${sum("brotli")} |`;
}

// Packs the console's files for serving: `node pack.mjs KIND RAW PUBLIC SITE`.
//
// Merges the modules of wasm-split-cli into one file for each bundle of pages. Scripts and WASM refer
// to each other by name, so they keep their names, in a folder named after a hash of their content:
// SITE/pkg/<hash>/console.js and what it loads, and terminal.js, which one page loads. That folder and SITE/pkg/console.<hash>.css can be
// cached forever; SITE/manifest.json lists the names; PUBLIC is copied unchanged. Every text or WASM
// file has compressed copies, `.br` and `.gz`, unless they would save nothing. Pages of a release that load
// too much are reported; with CHECK_SIZES=1 (`make bench`) the build fails, which it must not do to
// somebody who only wants to start the platform.
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

const [kind, raw, publicDir, site] = process.argv.slice(2);
const small = kind === "release";
const COMPRESSED = new Set([".js", ".wasm", ".bin", ".css", ".svg", ".txt", ".json", ".html"]);
/**
 * The maximum size of the WASM that pages load, in bytes after brotli: for some bundles, and for all
 * others. A few percent more than the current size, because compilers differ.
 */
const BUDGET = { entry: 320_000, apps: 345_000, platform: 445_000, most: 430_000 };
/** The part of all bundles that must use a module before every page loads it, also those that do without. */
const SHARED_BY = 0.75;

const hash = (...contents) =>
  contents.reduce((sum, content) => sum.update(content), createHash("sha256")).digest("hex").slice(0, 16);

async function compress(file, content) {
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: small ? 11 : 3,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
  };
  const [br, gz] = await Promise.all([
    promisify(brotliCompress)(content, { params }),
    promisify(gzip)(content, { level: small ? 9 : 1 }),
  ]);
  if (br.length < content.length) await writeFile(`${file}.br`, br);
  if (gz.length < content.length) await writeFile(`${file}.gz`, gz);
  return Math.min(br.length, content.length);
}

/** Compresses everything in a folder; resolves to the sizes by name. */
async function compressAll(folder) {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((e) => e.isFile() && COMPRESSED.has(extname(e.name)));
  const sizes = {};
  for (const entry of files) {
    const file = join(entry.parentPath ?? entry.path, entry.name);
    const content = await readFile(file);
    sizes[file.slice(folder.length + 1)] = { raw: content.length, brotli: await compress(file, content) };
  }
  return sizes;
}

/** The modules of each bundle, read from the script that wasm-split-cli wrote to load them. */
function modulesOfBundles(script) {
  const modules = {};
  for (const [, name, load] of script.matchAll(/^(?:export )?const (\w+) = (.*?makeLoad\(.*?\]\)\)?);$/gms)) {
    const [, needs] = /, \[([^\]]*)\]\)\)?$/.exec(load);
    const own = [...load.matchAll(/"\.\/(\w+\.wasm)"/g)].map(([, file]) => file);
    modules[name] = [...needs.split(", ").filter(Boolean).flatMap((need) => modules[need]), ...own];
  }
  const prefix = "__wasm_split_load_";
  const bundles = Object.entries(modules).filter(([name]) => name.startsWith(prefix));
  if (bundles.length === 0) throw new Error("__wasm_split.js has no bundles: this step needs an update.");
  return Object.fromEntries(bundles.map(([name, all]) => [name.slice(prefix.length), all]).sort());
}

/**
 * The modules in each bundle's file. There is a module for every set of bundles with common code: those
 * of nearly all bundles become one file that all pages load, `shared`; any other is included in the file
 * of each bundle that uses it, except if the bundle's parent includes it already.
 */
function files(bundles) {
  const names = Object.keys(bundles);
  const users = (module) => names.filter((name) => bundles[name].includes(module)).length;
  const shared = [...new Set(Object.values(bundles).flat())].filter((module) => users(module) >= names.length * SHARED_BY);
  const packs = { shared: { modules: shared, needs: [] } };
  for (const name of names) {
    const whole = names.find((other) => name.startsWith(`${other}_`));
    const elsewhere = new Set([...shared, ...(whole ? bundles[whole] : [])]);
    const modules = bundles[name].filter((module) => !elsewhere.has(module));
    packs[name] = { modules, needs: whole ? ["shared", whole] : ["shared"] };
  }
  return packs;
}

/** The files of bundles, and the script that loads them. */
async function bundle() {
  const script = await readFile(join(raw, "__wasm_split.js"), "utf8");
  const packs = files(modulesOfBundles(script));
  const table = {};
  for (const [name, { modules, needs }] of Object.entries(packs)) {
    const contents = await Promise.all(modules.map((module) => readFile(join(raw, module))));
    let at = 0;
    const places = contents.map((content, n) => [modules[n].replace(".wasm", ""), at, (at += content.length)]);
    table[name] = { file: `${name}.bin`, modules: places, needs };
    await writeFile(join(raw, `${name}.bin`), Buffer.concat(contents));
  }
  const [, imports] = /__wasm_split: \{([^}]*)\}/.exec(script) ?? [];
  if (imports === undefined) throw new Error("__wasm_split.js does not declare the imports of the modules: this step needs an update.");
  const exports = Object.keys(packs).filter((name) => name !== "shared");
  const loader = (await readFile(new URL("loader.js", import.meta.url), "utf8"))
    .replace("BUNDLES = {}", `BUNDLES = ${JSON.stringify(table)}`)
    .replace("IMPORTS = {}", `IMPORTS = {${imports}}`);
  const lines = exports.map((name) => `export const __wasm_split_load_${name} = loader("${name}");\n`);
  await writeFile(join(raw, "__wasm_split.js"), loader + lines.join(""));
  const filesOf = (name) => [...new Set([...table[name].needs.flatMap(filesOf), table[name].file])];
  return Object.fromEntries(exports.map((name) => [name, filesOf(name)]));
}

/** The script of terminals and what it imports: names and contents. */
async function terminal() {
  const files = {
    "terminal.js": "terminal.js",
    "xterm.js": "node_modules/@xterm/xterm/lib/xterm.mjs",
    "xterm-fit.js": "node_modules/@xterm/addon-fit/lib/addon-fit.mjs",
    "xterm.css": "node_modules/@xterm/xterm/css/xterm.css",
  };
  const read = async ([name, file]) => {
    const text = await readFile(new URL(file, import.meta.url), "utf8");
    return [name, text.replace(/^\/\/# sourceMappingURL=.*$/m, "")];
  };
  return Promise.all(Object.entries(files).map(read));
}

const next = `${site}.new`;
await rm(next, { recursive: true, force: true });
await mkdir(join(next, "pkg"), { recursive: true });
await cp(publicDir, next, { recursive: true });

for (const name of (await readdir(raw)).filter((name) => name.endsWith(".wasm"))) {
  if (!WebAssembly.validate(await readFile(join(raw, name)))) {
    throw new Error(`${name} of the console is invalid; a build tool broke it.`);
  }
}
const bundles = await bundle();
const main = "console_bg.wasm";
const code = [main, "console.js", "__wasm_split.js", ...new Set(Object.values(bundles).flat())].sort();
const contents = await Promise.all(code.map((name) => readFile(join(raw, name))));
const besides = await terminal();
const folder = join("pkg", hash(...contents, ...besides.map(([, content]) => content)));
await mkdir(join(next, folder), { recursive: true });
for (const [n, name] of code.entries()) await writeFile(join(next, folder, name), contents[n]);
for (const [name, content] of besides) await writeFile(join(next, folder, name), content);
// Scripts of crates; wasm-bindgen puts a hash into their paths.
await cp(join(raw, "snippets"), join(next, folder, "snippets"), { recursive: true }).catch((error) => {
  if (error.code !== "ENOENT") throw error;
});
const css = await readFile(join(raw, "console.css"));
const cssName = join("pkg", `console.${hash(css)}.css`);
await writeFile(join(next, cssName), css);

const sizes = await compressAll(next);
const path = (name) => `${folder}/${name}`;
const manifest = {
  js: path("console.js"),
  modules: [path("__wasm_split.js")],
  wasm: path(main),
  css: cssName,
  bundles: Object.fromEntries(Object.entries(bundles).map(([name, files]) => [name, files.map(path)])),
};
await writeFile(join(next, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);

const kb = (bytes) => `${(bytes / 1000).toFixed(1)} KB`;
const report = (what, { raw, brotli }) => console.error(`    ${what.padEnd(24)} ${kb(raw)}, ${kb(brotli)} with brotli`);
for (const [name, size] of Object.entries(sizes)) {
  if (name.startsWith("pkg/")) report(basename(name), size);
}
console.error("    WASM loaded by pages:");
const tooLarge = [];
for (const [name, files] of Object.entries(manifest.bundles)) {
  const all = [manifest.wasm, ...files].map((file) => sizes[file]);
  const sum = (what) => all.reduce((sum, size) => sum + size[what], 0);
  report(`  ${name}`, { raw: sum("raw"), brotli: sum("brotli") });
  const most = BUDGET[name] ?? BUDGET.most;
  if (small && sum("brotli") > most) tooLarge.push(`${name} loads ${kb(sum("brotli"))} with brotli, and may load ${kb(most)}`);
}
if (tooLarge.length > 0) {
  const message =
    `Pages load more WASM than BUDGET in style/pack.mjs allows: ${tooLarge.join("; ")}. ` +
    "Move code out of what they load (app/src/bundles.rs), or say why it has to be more.";
  if (process.env.CHECK_SIZES === "1") throw new Error(message);
  console.error(`    warning: ${message}`);
}
await rm(site, { recursive: true, force: true });
await rename(next, site);

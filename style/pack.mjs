// Packs the console's files for serving: `node pack.mjs KIND RAW PUBLIC SITE`.
//
// SITE/pkg/console.<hash>.js, console_bg.<hash>.wasm and console.<hash>.css can be cached for
// ever; SITE/manifest.json says what they are called; PUBLIC is copied as it is. Beside every
// text or WASM file lie `.br` and `.gz`, unless they would save nothing.
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

const [kind, raw, publicDir, site] = process.argv.slice(2);
const small = kind === "release";
const COMPRESSED = new Set([".js", ".wasm", ".css", ".svg", ".txt", ".json", ".html"]);

/** The content's name: `console.js` becomes `console.1f0c….js`. */
function hashed(name, content) {
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 16);
  const ext = extname(name);
  return `${basename(name, ext)}.${hash}${ext}`;
}

async function compress(file, content) {
  const quality = { [constants.BROTLI_PARAM_QUALITY]: small ? 11 : 3 };
  const [br, gz] = await Promise.all([
    promisify(brotliCompress)(content, { params: quality }),
    promisify(gzip)(content, { level: small ? 9 : 1 }),
  ]);
  if (br.length < content.length) await writeFile(`${file}.br`, br);
  if (gz.length < content.length) await writeFile(`${file}.gz`, gz);
  return br.length;
}

async function compressAll(folder) {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((e) => e.isFile() && COMPRESSED.has(extname(e.name)));
  for (const entry of files) {
    const file = join(entry.parentPath ?? entry.path, entry.name);
    const content = await readFile(file);
    const packed = await compress(file, content);
    console.error(`    ${file.slice(next.length + 1)}  ${content.length} bytes, ${packed} with brotli`);
  }
}

const next = `${site}.new`;
await rm(next, { recursive: true, force: true });
await mkdir(join(next, "pkg"), { recursive: true });
await cp(publicDir, next, { recursive: true });

const wasm = await readFile(join(raw, "console_bg.wasm"));
if (!WebAssembly.validate(wasm)) throw new Error("The console's WASM is not valid; a tool of the build broke it.");
const wasmName = hashed("console_bg.wasm", wasm);
// The glue asks for its WASM by name where the caller gives none.
const js = (await readFile(join(raw, "console.js"), "utf8")).replaceAll("console_bg.wasm", wasmName);
const jsName = hashed("console.js", js);
const css = await readFile(join(raw, "console.css"));
const cssName = hashed("console.css", css);
await writeFile(join(next, "pkg", wasmName), wasm);
await writeFile(join(next, "pkg", jsName), js);
await writeFile(join(next, "pkg", cssName), css);
// Scripts that crates bring along; wasm-bindgen puts a hash in their path.
await cp(join(raw, "snippets"), join(next, "pkg", "snippets"), { recursive: true }).catch((error) => {
  if (error.code !== "ENOENT") throw error;
});

await compressAll(next);
const manifest = { js: `pkg/${jsName}`, wasm: `pkg/${wasmName}`, css: `pkg/${cssName}` };
await writeFile(join(next, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
await rm(site, { recursive: true, force: true });
await rename(next, site);

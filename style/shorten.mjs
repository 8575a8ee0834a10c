// Shortens the names of the console's WASM imports from its JavaScript: `node style/shorten.mjs FOLDER`.
//
// wasm-bindgen appends a hash of sixteen digits to each name, which does not compress: a percent of what
// every page loads.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { Wasm, encoded } from "./wasm.mjs";

const IMPORT = 2;
const [folder] = process.argv.slice(2);
const [wasm, script] = [join(folder, "console_bg.wasm"), join(folder, "console.js")];
const module = new Wasm(await readFile(wasm));

const named = (text) => Buffer.concat([encoded(Buffer.byteLength(text)), Buffer.from(text)]);
const section = module.sections().find(({ id }) => id === IMPORT);
const names = new Map();
// A name is preceded by its length, so that it is not found within another one.
let imports = module.bytes.subarray(section.content, section.end).toString("latin1");
let code = await readFile(script, "utf8");
for (const name of new Set(code.match(/\b__wb[a-z]*_\w+_[0-9a-f]{16}\b/g))) {
  const short = `i${names.size.toString(36)}`;
  const [long, brief] = [named(name).toString("latin1"), named(short).toString("latin1")];
  if (!imports.includes(long)) continue;
  names.set(name, short);
  imports = imports.replaceAll(long, () => brief);
}
code = code.replace(/\b__wb[a-z]*_\w+_[0-9a-f]{16}\b/g, (name) => names.get(name) ?? name);
await writeFile(wasm, module.replaced(section, IMPORT, Buffer.from(imports, "latin1")));
await writeFile(script, code);
console.error(`    ${names.size} names shortened`);

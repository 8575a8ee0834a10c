// Gives what the console's WASM imports from its JavaScript short names: `node style/shorten.mjs FOLDER`.
//
// wasm-bindgen ends each name with a hash of sixteen digits, which no compression can make smaller: a
// hundredth of what every page loads.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const IMPORT = 2;
const [folder] = process.argv.slice(2);
const [wasm, script] = [join(folder, "console_bg.wasm"), join(folder, "console.js")];
const bytes = await readFile(wasm);
let at = 8;

function number() {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return value;
  }
}

function encoded(value) {
  const out = [];
  for (; value > 127; value = Math.floor(value / 128)) out.push((value % 128) | 128);
  return Buffer.from([...out, value]);
}

/** The import section: from its first byte, its content, its end. */
function section() {
  for (at = 8; at < bytes.length; ) {
    const begin = at;
    const id = bytes[at++];
    const end = number() + at;
    if (id === IMPORT) return { begin, content: at, end };
    at = end;
  }
  throw new Error(`${wasm} imports nothing.`);
}

const named = (text) => Buffer.concat([encoded(Buffer.byteLength(text)), Buffer.from(text)]);
const { begin, content, end } = section();
const names = new Map();
// A name is written with its length before it, so that it is not found within another one.
let imports = bytes.subarray(content, end).toString("latin1");
let code = await readFile(script, "utf8");
for (const name of new Set(code.match(/\b__wb[a-z]*_\w+_[0-9a-f]{16}\b/g))) {
  const short = `i${names.size.toString(36)}`;
  const [long, brief] = [named(name).toString("latin1"), named(short).toString("latin1")];
  if (!imports.includes(long)) continue;
  names.set(name, short);
  imports = imports.replaceAll(long, () => brief);
}
code = code.replace(/\b__wb[a-z]*_\w+_[0-9a-f]{16}\b/g, (name) => names.get(name) ?? name);
const written = Buffer.from(imports, "latin1");
await writeFile(wasm, Buffer.concat([bytes.subarray(0, begin), Buffer.from([IMPORT]), encoded(written.length), written, bytes.subarray(end)]));
await writeFile(script, code);
console.error(`    ${names.size} names made short`);

// Takes out of the console's WASM what can never run: `node style/shrink.mjs IN OUT`.
//
// Leptos can hydrate a page in two ways, all at once (hydrate_body) or with pauses
// (hydrate_lazy), and the tables of every view refer to both, so the linker keeps both. Ours is
// the first. Here the bodies of the second become traps, and their relocations go; what only they
// used is then in reach of nothing, and wasm-split-cli leaves it out.
import { readFile, writeFile } from "node:fs/promises";

// `hydrate_async` itself: what makes its future, and the future's own body. Nothing else: the linker
// merges equal code under one name. hydrate_from_template, which never runs either, is often
// hydrate_from_server, which does.
const NEVER_RUN = /13hydrate_async(28_\$u7b\$\$u7b\$closure\$u7d\$\$u7d\$)?17h[0-9a-f]{16}E$/;
const [CUSTOM, IMPORT, CODE] = [0, 2, 10];
/** Relocations with an addend: of addresses in memory, functions and sections. */
const WITH_ADDEND = new Set([3, 4, 5, 8, 9, 11, 14, 15, 16, 17, 21, 22, 23, 25]);

const [from, to] = process.argv.slice(2);
const wasm = await readFile(from);
let at = 8;

function number() {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = wasm[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return value;
  }
}

function text() {
  const length = number();
  at += length;
  return wasm.toString("utf8", at - length, at);
}

function encoded(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

/** All sections: id, where it begins, where its content does, where it ends, and a custom one's name. */
function sections() {
  const found = [];
  for (at = 8; at < wasm.length; ) {
    const begin = at;
    const id = wasm[at++];
    const end = number() + at;
    const content = at;
    found.push({ id, begin, content, end, name: id === CUSTOM ? text() : undefined, rest: at });
    at = end;
  }
  return found;
}

function importedFunctions(section) {
  let functions = 0;
  at = section.content;
  for (let left = number(); left > 0; left--) {
    text();
    text();
    const kind = wasm[at++];
    if (kind === 0) functions++;
    if (kind === 1) at++;
    if (kind === 3) at += 2;
    if (kind === 4) at++;
    if (kind === 0 || kind === 4) number();
    if (kind === 1 || kind === 2) for (let limits = (wasm[at++] & 1) + 1; limits > 0; limits--) number();
  }
  return functions;
}

function functionNames(section) {
  const names = new Map();
  for (at = section.rest; at < section.end; ) {
    const kind = wasm[at++];
    const end = number() + at;
    if (kind === 1) for (let left = number(); left > 0; left--) names.set(number(), text());
    at = end;
  }
  return names;
}

/** Makes traps of the bodies; returns where in the section they are. */
function trap(code, names, imported) {
  const trapped = [];
  at = code.content;
  const count = number();
  for (let n = 0; n < count; n++) {
    const size = number();
    if (NEVER_RUN.test(names.get(imported + n) ?? "")) {
      // No locals, unreachable, and to the end nothing: the size stays, and with it every other place.
      wasm.fill(1, at, at + size);
      wasm.set([0, 0], at);
      wasm[at + size - 1] = 11;
      trapped.push([at - code.content, at + size - code.content]);
    }
    at += size;
  }
  return trapped;
}

/** The relocations of code, without those in the trapped bodies. Both are in order. */
function relocations(section, trapped) {
  at = section.rest;
  const target = number();
  const kept = [];
  let body = 0;
  for (let left = number(); left > 0; left--) {
    const begin = at;
    const kind = wasm[at++];
    const offset = number();
    number();
    if (WITH_ADDEND.has(kind)) number();
    while (body < trapped.length && trapped[body][1] <= offset) body++;
    if (body === trapped.length || offset < trapped[body][0]) kept.push(wasm.subarray(begin, at));
  }
  if (at !== section.end) throw new Error("The WASM has relocations of a kind that this step does not know.");
  const name = wasm.subarray(section.content, section.rest);
  const content = Buffer.concat([name, encoded(target), encoded(kept.length), ...kept]);
  return Buffer.concat([Buffer.from([CUSTOM]), encoded(content.length), content]);
}

const all = sections();
const one = (what) => all.find(({ id, name }) => id === what || name === what);
const relocated = one("reloc.CODE");
if (!relocated || !one("name")) throw new Error("The WASM has no relocations or no names: was it linked with --emit-relocs?");
const trapped = trap(one(CODE), functionNames(one("name")), importedFunctions(one(IMPORT)));
if (trapped.length === 0) throw new Error("No hydrate_async in the WASM: this step is out of date.");
console.error(`    ${trapped.length} functions that never run`);
const without = relocations(relocated, trapped);
await writeFile(to, Buffer.concat([wasm.subarray(0, relocated.begin), without, wasm.subarray(relocated.end)]));

// Removes code from the console's WASM that never runs: `node style/shrink.mjs IN OUT`.
//
// Leptos can hydrate a page in two ways, all at once (hydrate_body) or with pauses
// (hydrate_lazy), and the vtables of every view refer to both, so the linker keeps both. The console
// uses the first. This replaces the bodies of the second by traps and removes their relocations, so that
// code used only by them is unreachable, and wasm-split-cli omits it.
import { readFile, writeFile } from "node:fs/promises";

import { Wasm, encoded } from "./wasm.mjs";

// `hydrate_async` itself: the function that creates its future, and the future's body. Nothing else: the linker
// merges equal code under one name. hydrate_from_template, which never runs either, is often
// hydrate_from_server, which does.
const NEVER_RUN = /13hydrate_async(28_\$u7b\$\$u7b\$closure\$u7d\$\$u7d\$)?17h[0-9a-f]{16}E$/;
const [CUSTOM, IMPORT, CODE] = [0, 2, 10];
/** Relocations with an addend: of addresses in memory, functions and sections. */
const WITH_ADDEND = new Set([3, 4, 5, 8, 9, 11, 14, 15, 16, 17, 21, 22, 23, 25]);

const [from, to] = process.argv.slice(2);
const wasm = new Wasm(await readFile(from));

function importedFunctions(section) {
  let functions = 0;
  wasm.at = section.content;
  for (let left = wasm.number(); left > 0; left--) {
    wasm.text();
    wasm.text();
    const kind = wasm.byte();
    if (kind === 0) functions++;
    if (kind === 1) wasm.at++;
    if (kind === 3) wasm.at += 2;
    if (kind === 4) wasm.at++;
    if (kind === 0 || kind === 4) wasm.number();
    if (kind === 1 || kind === 2) for (let limits = (wasm.byte() & 1) + 1; limits > 0; limits--) wasm.number();
  }
  return functions;
}

function functionNames(section) {
  const names = new Map();
  for (wasm.at = section.rest; wasm.at < section.end; ) {
    const kind = wasm.byte();
    const end = wasm.number() + wasm.at;
    if (kind === 1) for (let left = wasm.number(); left > 0; left--) names.set(wasm.number(), wasm.text());
    wasm.at = end;
  }
  return names;
}

/** Makes traps of the bodies; returns where in the section they are. */
function trap(code, names, imported) {
  const trapped = [];
  wasm.at = code.content;
  const count = wasm.number();
  for (let n = 0; n < count; n++) {
    const size = wasm.number();
    if (NEVER_RUN.test(names.get(imported + n) ?? "")) {
      // No locals, `unreachable`, then padding: the size stays the same, and so do all other offsets.
      wasm.bytes.fill(1, wasm.at, wasm.at + size);
      wasm.bytes.set([0, 0], wasm.at);
      wasm.bytes[wasm.at + size - 1] = 11;
      trapped.push([wasm.at - code.content, wasm.at + size - code.content]);
    }
    wasm.at += size;
  }
  return trapped;
}

/** The relocations of code, without those in the trapped bodies. Both are in order. */
function relocations(section, trapped) {
  wasm.at = section.rest;
  const target = wasm.number();
  const kept = [];
  let body = 0;
  for (let left = wasm.number(); left > 0; left--) {
    const begin = wasm.at;
    const kind = wasm.byte();
    const offset = wasm.number();
    wasm.number();
    if (WITH_ADDEND.has(kind)) wasm.number();
    while (body < trapped.length && trapped[body][1] <= offset) body++;
    if (body === trapped.length || offset < trapped[body][0]) kept.push(wasm.bytes.subarray(begin, wasm.at));
  }
  if (wasm.at !== section.end) throw new Error("The WASM has relocations of an unknown kind.");
  const name = wasm.bytes.subarray(section.content, section.rest);
  return Buffer.concat([name, encoded(target), encoded(kept.length), ...kept]);
}

const all = wasm.sections();
const one = (what) => all.find(({ id, name }) => id === what || name === what);
const relocated = one("reloc.CODE");
if (!relocated || !one("name")) throw new Error("The WASM has no relocations or no names: was it linked with --emit-relocs?");
const trapped = trap(one(CODE), functionNames(one("name")), importedFunctions(one(IMPORT)));
if (trapped.length === 0) throw new Error("No hydrate_async in the WASM: this step needs an update.");
console.error(`    ${trapped.length} unreachable functions removed`);
await writeFile(to, wasm.replaced(relocated, CUSTOM, relocations(relocated, trapped)));

// Loads the code of bundles, for the console's WASM, which knows this file as __wasm_split.js.
//
// It stands in for the loader that wasm-split-cli writes, which gets each of some hundred modules
// by a request of its own. pack.mjs writes the first two constants and, below, what WASM imports.
import { initSync } from "./console.js";

/** Bundle: its file, the modules in it (name, from, to), and the bundles that it needs. */
const BUNDLES = {};
/** What modules import besides what the first one exports. */
const IMPORTS = {};

const loading = {};
const running = {};

/** Loads a bundle once; what failed is tried again. */
function load(name) {
  return (loading[name] ??= run(name).catch((error) => {
    delete loading[name];
    throw error;
  }));
}

/** The file's bytes. Browsers break off what they load when a network comes or goes, so it is tried again. */
async function get(file, left = 3) {
  let answer;
  try {
    answer = await fetch(new URL(file, import.meta.url));
    if (answer.ok) return await answer.arrayBuffer();
  } catch (error) {
    if (left === 0) throw error;
    await new Promise((done) => setTimeout(done, 300));
    return get(file, left - 1);
  }
  throw new Error(`${answer.url}: ${answer.status}`);
}

async function run(name) {
  const { file, modules, needs } = BUNDLES[name];
  const others = needs.map(load);
  const bytes = await get(file);
  const imports = { __wasm_split: { ...initSync(), ...IMPORTS } };
  const own = modules.map(([module, from, to]) => (running[module] ??= WebAssembly.instantiate(bytes.slice(from, to), imports)));
  await Promise.all([...others, ...own]);
}

/** What WASM calls: loads, then calls back. */
function loader(name) {
  return async (callback, data) => {
    const done = await load(name).then(() => true, (error) => console.error(error));
    initSync().__indirect_function_table.get(callback)(data, Boolean(done));
  };
}

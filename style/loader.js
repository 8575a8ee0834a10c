// Loads the code of bundles for the console's WASM, which imports this file as __wasm_split.js.
//
// It replaces the loader that wasm-split-cli writes, which fetches each of about a hundred modules separately. pack.mjs
// writes the first two constants and, below, the exports that the WASM imports.
import { initSync } from "./console.js";

/** For each bundle: its file, the modules in it (name, from, to), and the bundles that it depends on. */
const BUNDLES = {};
/** Imports of modules that the first one does not export. */
const IMPORTS = {};

const loading = {};
const running = {};

/** Loads a bundle once; a failed one is retried. */
function load(name) {
  return (loading[name] ??= run(name).catch((error) => {
    delete loading[name];
    throw error;
  }));
}

/** The file's bytes. Browsers abort downloads when a network interface is added or removed, so they are retried. */
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

/** Called by the WASM: loads, then calls back. */
function loader(name) {
  return async (callback, data) => {
    const done = await load(name).then(() => true, (error) => console.error(error));
    initSync().__indirect_function_table.get(callback)(data, Boolean(done));
  };
}

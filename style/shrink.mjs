// Takes out of the console's WASM what can never run: `node style/shrink.mjs IN OUT`.
//
// Leptos can hydrate a page in two ways, all at once (hydrate_body) or with pauses
// (hydrate_lazy), and the tables of every view refer to both, so the linker keeps both. Ours
// is the first. The second is a fifth of the module; here its bodies become traps, and wasm-opt
// then removes what only they used.
import { readFile, writeFile } from "node:fs/promises";
import binaryen from "binaryen";

// The body of an `async fn hydrate_async` itself. Not what is nested in it: the linker may
// have merged those with equal code that does run.
const NEVER_RUN = /hydrate_async\d*(28_\$u7b\$\$u7b\$closure\$u7d\$\$u7d\$|::\{\{closure\}\})(17h[0-9a-f]{16}E|::h[0-9a-f]{16})?$/;

const [from, to] = process.argv.slice(2);
const module = binaryen.readBinary(new Uint8Array(await readFile(from)));
// What rustc's wasm32-unknown-unknown uses. With more, binaryen writes types that browsers refuse.
const { Features } = binaryen;
module.setFeatures(
  Features.MutableGlobals | Features.SignExt | Features.NontrappingFPToInt | Features.BulkMemory |
    Features.BulkMemoryOpt | Features.ReferenceTypes | Features.Multivalue | Features.CallIndirectOverlong,
);

let count = 0;
for (let index = 0; index < module.getNumFunctions(); index++) {
  const { name, base } = binaryen.getFunctionInfo(module.getFunctionByIndex(index));
  if (base || !NEVER_RUN.test(name) || name.includes("drop_in_place")) continue;
  binaryen.Function(module.getFunctionByIndex(index)).body = module.unreachable();
  count++;
}
if (count === 0) throw new Error("No hydrate_async in the module: its name section is missing, or this step is out of date.");
console.error(`    ${count} functions that never run`);
await writeFile(to, module.emitBinary());

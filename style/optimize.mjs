// Minimizes WASM like `wasm-opt -Oz`, in place: `node style/optimize.mjs FILE...`.
//
// One process for many files: wasm-opt takes a second to start, and the console has some hundred modules.
import { readFile, writeFile } from "node:fs/promises";
import binaryen from "binaryen";

// The features of rustc's wasm32-unknown-unknown. With more, binaryen writes types that browsers reject.
const { Features } = binaryen;
const FEATURES =
  Features.MutableGlobals | Features.SignExt | Features.NontrappingFPToInt | Features.BulkMemory |
  Features.BulkMemoryOpt | Features.ReferenceTypes | Features.Multivalue;

binaryen.setOptimizeLevel(2);
binaryen.setShrinkLevel(2);
for (const file of process.argv.slice(2)) {
  const module = binaryen.readBinary(new Uint8Array(await readFile(file)));
  module.setFeatures(FEATURES);
  module.runPasses(["strip-debug", "strip-producers"]);
  // Once: a second time saves a two-thousandth, and takes as long as a third of all of this.
  module.optimize();
  await writeFile(file, module.emitBinary());
  module.dispose();
}

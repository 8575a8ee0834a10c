//! Two steps of the console's build, as one small program.
//!
//! ```text
//! front_tools split INPUT.wasm FOLDER     a module per bundle of pages, and modules that bundles share
//! front_tools bind INPUT.wasm FOLDER      the JavaScript that loads the main module
//! ```
//!
//! Instead of the command lines of `wasm-bindgen` and `wasm-split-cli`, whose other uses (such as running tests in
//! browsers) take minutes to compile. Both libraries have to match the versions of `wasm-bindgen` and
//! `wasm_split_helpers` in Cargo.lock.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};

/// The name of the main module's files, without their endings.
const NAME: &str = "console";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["split", input, folder] => split(input, Path::new(folder)).with_context(|| format!("split {input}")),
        ["bind", input, folder] => bind(input, folder).with_context(|| format!("generate the bindings of {input}")),
        _ => bail!("usage: front_tools split|bind INPUT.wasm FOLDER"),
    }
}

fn split(input: &str, folder: &Path) -> Result<()> {
    let wasm = std::fs::read(input)?;
    let (main, module) = (folder.join(format!("{NAME}.wasm")), format!("./{NAME}.js"));
    let mut options = wasm_split_cli_support::Options::new(&wasm);
    options.output_dir = folder;
    options.main_out_path = &main;
    options.main_module = &module;
    wasm_split_cli_support::transform(options).map(drop).map_err(|err| anyhow!("{err:#}"))
}

fn bind(input: &str, folder: &str) -> Result<()> {
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen.web(true)?.input_path(input).out_name(NAME).typescript(false);
    // The bundles import what the linker exports.
    bindgen.keep_lld_exports(true).generate(folder)
}

//! Makes sure that there is a folder to embed, also before the console's front end was built.

use std::{env, fs, path::Path};

fn main() {
    let here = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it for build scripts");
    let site = Path::new(&here).join("../target/site");
    if let Err(err) = fs::create_dir_all(&site) {
        println!("cargo::error=could not make {}: {err}", site.display());
    }
    // Names carry a hash of their content, so a new front end is a new list of files.
    println!("cargo::rerun-if-changed={}", site.join("manifest.json").display());
    println!("cargo::rerun-if-changed=build.rs");
}

//! Makes sure that there is a folder to embed, also before the console's front end was built.

use std::{env, fs, io, path::Path};

fn main() {
    let here = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it for build scripts");
    let site = Path::new(&here).join("../target/site");
    if let Err(err) = prepare(&site) {
        println!("cargo::error=could not make {}: {err}", site.display());
    }
    // Not the folder itself: the library does not depend on it, and `main.rs` follows its manifest.
    println!("cargo::rerun-if-changed=build.rs");
}

fn prepare(site: &Path) -> io::Result<()> {
    fs::create_dir_all(site)?;
    match fs::File::create_new(site.join("manifest.json")) {
        Err(err) if err.kind() != io::ErrorKind::AlreadyExists => Err(err),
        _ => Ok(()),
    }
}

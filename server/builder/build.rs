//! Builds the file server of the static buildpack, so that it can be embedded.
//!
//! A crate cannot embed another crate's binary (artifact dependencies are unstable), so cargo is called here, for that
//! package alone: with the features that it needs, optimized even in a debug build, and in a target directory of its
//! own, since the other one is locked.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const PROFILE: &str = "fileserver";

fn main() {
    for file in
        ["../fileserver/src", "../fileserver/Cargo.toml", "../globs/src", "../../Cargo.toml", "../../Cargo.lock"]
    {
        println!("cargo::rerun-if-changed={file}");
    }
    let var = |name: &str| env::var(name).unwrap_or_default();
    let (out, target) = (PathBuf::from(var("OUT_DIR")), var("TARGET"));
    let build = out.join("fileserver-target");
    let status = Command::new(var("CARGO"))
        .args(["build", "--quiet", "--locked", "--package", "fileserver", "--profile", PROFILE, "--target", &target])
        .arg("--target-dir")
        .arg(&build)
        // Variables for the outer build: clippy as the compiler, flags for coverage.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!("fileserver does not compile ({status})")),
        Err(e) => fail(&format!("cannot start cargo: {e}")),
    }
    let built = build.join(Path::new(&target)).join(PROFILE).join("fileserver");
    if let Err(e) = fs::copy(&built, out.join("fileserver")) {
        fail(&format!("cannot copy {}: {e}", built.display()));
    }
}

fn fail(sentence: &str) -> ! {
    println!("cargo::error={sentence}");
    exit(1);
}

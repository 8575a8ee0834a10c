//! Builds the program of shims, so that it can be embedded.
//!
//! As for the file server in `builder`, cargo is called for that package alone, with its own profile and target
//! directory. The program is linked statically, so that starting it needs neither the dynamic linker nor its memory;
//! where the C library is only there as a shared one, it is linked with that.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, exit};

const PROFILE: &str = "shim";
const PROGRAM: &str = "wharf-shim";

fn main() {
    for file in [
        "../shim/src",
        "../shim/Cargo.toml",
        "../spool/src",
        "../spool/Cargo.toml",
        "../../Cargo.toml",
        "../../Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={file}");
    }
    let (out, target) = (PathBuf::from(var("OUT_DIR")), var("TARGET"));
    let build = out.join("shim-target");
    let built = match compile(&build, &target, "-Ctarget-feature=+crt-static") {
        status if status.success() => status,
        _ => compile(&build, &target, ""),
    };
    if !built.success() {
        fail(&format!("shim does not compile ({built})"));
    }
    let built = build.join(Path::new(&target)).join(PROFILE).join(PROGRAM);
    if let Err(e) = fs::copy(&built, out.join(PROGRAM)) {
        fail(&format!("cannot copy {}: {e}", built.display()));
    }
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// Compiles it with these flags for the compiler.
fn compile(build: &Path, target: &str, flags: &str) -> ExitStatus {
    let status = Command::new(var("CARGO"))
        .args(["build", "--quiet", "--locked", "--package", "shim", "--bin", PROGRAM])
        .args(["--profile", PROFILE, "--target", target, "--target-dir"])
        .arg(build)
        // What is meant for the outer build: clippy as the compiler, flags for coverage.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", flags)
        .status();
    match status {
        Ok(status) => status,
        Err(e) => fail(&format!("cannot start cargo: {e}")),
    }
}

fn fail(sentence: &str) -> ! {
    println!("cargo::error={sentence}");
    exit(1);
}

//! Compiles the file server of the static buildpack, so that it can be embedded.
//!
//! It is a program of its own that needs only the standard library: slugs carry it, and dynos run it
//! on a machine that has no compiler. A crate cannot embed another crate's binary (artifact
//! dependencies are unstable), so the compiler is called here.

use std::env;
use std::path::PathBuf;
use std::process::{Command, exit};

fn main() {
    println!("cargo::rerun-if-changed=serve");
    println!("cargo::rerun-if-env-changed=RUSTC");
    let var = |name: &str| env::var(name).unwrap_or_default();
    let out = PathBuf::from(var("OUT_DIR")).join("serve");
    // Not the workspace's wrapper: clippy must not be the one who compiles this.
    let status = Command::new(var("RUSTC"))
        .args(["serve/main.rs", "--edition=2024", "--crate-name=serve", "--target", &var("TARGET")])
        .args(["-Copt-level=3", "-Cpanic=abort", "-Cstrip=symbols", "-Ccodegen-units=1"])
        .arg("-o")
        .arg(&out)
        .env_remove("RUSTFLAGS")
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!("serve/main.rs does not compile ({status})")),
        Err(e) => fail(&format!("cannot start the compiler: {e}")),
    }
}

fn fail(sentence: &str) {
    println!("cargo::error={sentence}");
    exit(1);
}

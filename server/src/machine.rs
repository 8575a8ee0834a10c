//! Checks of the machine: programs, disk, ports, users and kernel features.
//!
//! `up` runs the necessary ones before it starts and stops with the first error; `doctor` runs all.

pub mod kernel;
pub mod port;
pub mod users;

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use nix::{sys::statvfs::statvfs, unistd::User};

/// A program that the platform runs.
pub struct Program {
    pub name: &'static str,
    /// The Debian package that contains it.
    pub package: &'static str,
    /// What it is needed for.
    pub use_: &'static str,
}

/// Required programs.
pub const PROGRAMS: [Program; 6] = [
    Program { name: "bash", package: "bash", use_: "starting dynos" },
    Program { name: "git", package: "git", use_: "pushes" },
    Program { name: "ip", package: "iproute2", use_: "the network of dynos" },
    Program { name: "nft", package: "nftables", use_: "the network of dynos" },
    Program { name: "sha256sum", package: "coreutils", use_: "builds" },
    Program { name: "tar", package: "tar", use_: "builds" },
];

/// Programs that some builds need.
pub const BUILD_PROGRAMS: [Program; 6] = [
    Program { name: "cargo", package: "cargo", use_: "building Rust apps" },
    Program { name: "cc", package: "build-essential", use_: "building native parts of apps" },
    Program { name: "curl", package: "curl", use_: "builds that download" },
    Program { name: "node", package: "nodejs", use_: "building Node.js apps" },
    Program { name: "python3", package: "python3", use_: "building Python apps" },
    Program { name: "xz", package: "xz-utils", use_: "builds that download" },
];

/// Free space that a start requires.
const LEAST_FREE: u64 = 256 << 20;
const LEAST_INODES: u64 = 2000;

/// The search path for programs: a root shell often lacks the sbin folders.
pub fn search_path() -> String {
    let path = env::var("PATH").unwrap_or_default();
    let mut folders: Vec<&str> = path.split(':').filter(|f| !f.is_empty()).collect();
    for usual in ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"] {
        if !folders.contains(&usual) {
            folders.push(usual);
        }
    }
    folders.join(":")
}

/// The path of a program, if it is installed.
pub fn find(program: &str) -> Option<PathBuf> {
    let can_run = |file: &PathBuf| fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    search_path().split(':').map(|folder| Path::new(folder).join(program)).find(can_run)
}

/// A message about missing programs and how to install them.
pub fn missing_programs(programs: &[Program]) -> Option<String> {
    let missing: Vec<&Program> = programs.iter().filter(|p| find(p.name).is_none()).collect();
    if missing.is_empty() {
        return None;
    }
    let list = |word: fn(&Program) -> &str, between| missing.iter().map(|p| word(p)).collect::<Vec<_>>().join(between);
    Some(format!(
        "{} missing, needed for {}. Install with: apt-get install {}",
        list(|p| p.name, ", ") + if missing.len() == 1 { " is" } else { " are" },
        list(|p| p.use_, ", "),
        list(|p| p.package, " "),
    ))
}

/// The system user that Postgres runs as.
pub fn postgres_user() -> Result<User> {
    match User::from_name("postgres").context("look up the system user postgres")? {
        Some(user) => Ok(user),
        None => bail!("The system user postgres is missing. Install Postgres: apt-get install postgresql"),
    }
}

/// Fails unless running as root.
pub fn must_be_root() -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    bail!("Wharf must run as root to give every app its own user, network and limits. Start it with sudo.")
}

/// A problem with the disk of `folder`, and how to fix it.
pub fn disk_trouble(folder: &Path) -> Option<String> {
    let stat = statvfs(folder).ok()?;
    let free = stat.blocks_available() * stat.fragment_size();
    let shown = folder.display();
    if free < LEAST_FREE {
        let mib = free >> 20;
        return Some(format!(
            "The disk of {shown} is full: {mib} MiB free, at least {} needed. Free some space, or choose another disk \
             with --data.",
            LEAST_FREE >> 20
        ));
    }
    // Some file systems allocate inodes dynamically and report none.
    (stat.files() > 0 && stat.files_available() < LEAST_INODES).then(|| {
        format!(
            "The disk of {shown} has no free inodes (df -i). Remove some files, or choose another disk with --data."
        )
    })
}

/// Free and total bytes of the disk of `folder`, or of its nearest existing ancestor.
pub fn disk(folder: &Path) -> Option<(u64, u64)> {
    let stat = folder.ancestors().find_map(|f| statvfs(f).ok())?;
    Some((stat.blocks_available() * stat.fragment_size(), stat.blocks() * stat.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_programs_are_named_with_their_package() {
        let no = |name| Program { name, package: "nothing", use_: "dreams" };
        let why = missing_programs(&[no("no-such-program"), no("sh")]).unwrap();
        assert_eq!(why, "no-such-program is missing, needed for dreams. Install with: apt-get install nothing");
        assert_eq!(missing_programs(&[no("sh")]), None);
    }
}

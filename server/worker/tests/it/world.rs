//! Orders with typical values, and functions to inspect the machine.

use std::collections::HashSet;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use worker::{Error, Limits, Network, Order, Output, Program, Shown, Work, Workers};

pub const USER: u32 = *worker::USERS.end();

pub fn order(work: Work) -> Order {
    Order { work, user: USER, shows: Vec::new(), network: Network::None, limits: Limits::default() }
}

/// A shell that runs this script.
pub fn shell(script: &str) -> Order {
    order(Work::Program(Program::new("sh").args(["-c", script])))
}

/// For tasks: `Workers::send` fills in the work.
pub fn task() -> Order {
    shell("exit 1")
}

pub async fn run(order: &Order) -> Result<Output, Error> {
    Workers::new().unwrap().output(order, b"", 1 << 20).await
}

/// The output of a script that succeeds.
pub async fn say(script: &str) -> String {
    let output = run(&shell(script)).await.unwrap();
    assert_eq!(output.code, 0, "{}", output.stderr);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A directory of the worker's user, mounted at /here.
pub fn folder() -> (TempDir, Shown) {
    let dir = tempfile::tempdir().unwrap();
    chown(dir.path(), Some(USER), Some(USER)).unwrap();
    let shown = Shown::write(dir.path().canonicalize().unwrap(), "/here");
    (dir, shown)
}

/// Processes of the host whose command line contains `mark`.
pub fn processes(mark: &str) -> Vec<i32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(mark)
    };
    pids.filter(|pid| *pid != std::process::id() as i32).filter(has).collect()
}

pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Groups of workers without a process, in any hierarchy: other tests may have running workers.
pub fn empty_groups() -> HashSet<PathBuf> {
    let below = |folder: &Path| std::fs::read_dir(folder.join("wharf")).into_iter().flatten().flatten();
    let mounts = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
    let found = mounts.flat_map(|mount| below(&mount.path()));
    let workers = found.filter(|entry| entry.file_name().to_string_lossy().starts_with("worker-"));
    let is_empty = |group: &PathBuf| std::fs::read(group.join("cgroup.procs")).is_ok_and(|pids| pids.is_empty());
    workers.map(|entry| entry.path()).filter(is_empty).collect()
}

pub fn owner(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().uid()
}

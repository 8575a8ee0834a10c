//! The limits of one group, for cgroup versions 1 and 2.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::{Hierarchy, number, read};
use crate::Limits;

/// The weight of all dynos together, relative to one worker, where dynos are one group.
const DYNOS_SHARES: u64 = 25 * 1024;

pub(super) fn limit(hierarchy: &Hierarchy, group: &Path, limits: &Limits) -> io::Result<()> {
    if hierarchy.has("memory") {
        limit_memory(hierarchy, group, limits.memory_max_bytes)?;
    }
    if hierarchy.has("cpu") {
        weigh(hierarchy, group, limits.cpu_shares)?;
        if limits.cpu_quota_us > 0 {
            limit_cpu(hierarchy, group, limits.cpu_quota_us)?;
        }
    }
    if hierarchy.has("pids") {
        fs::write(group.join("pids.max"), limits.pids.to_string())?;
    }
    Ok(())
}

/// Limits memory, and memory and swap together. A limit below the usage that cannot be reclaimed is an error without
/// effect: no process is killed.
pub(super) fn limit_memory(hierarchy: &Hierarchy, group: &Path, bytes: u64) -> io::Result<()> {
    if hierarchy.v2 {
        lower_memory_v2(group, bytes)?;
        // Otherwise it could use swap without limit. Without the file, there is no swap.
        return optional(&group.join("memory.swap.max"), "0");
    }
    // The combined limit must not be below that of memory alone, so the order of the two writes depends on the old
    // values. Without swap accounting, the second file does not exist.
    let (memory, both) = (group.join("memory.limit_in_bytes"), group.join("memory.memsw.limit_in_bytes"));
    let _ = optional(&both, &bytes.to_string());
    fs::write(&memory, bytes.to_string())?;
    let _ = optional(&both, &bytes.to_string());
    Ok(())
}

/// Version 2 kills processes where version 1 rejects a limit below the usage. So the group is throttled at the new
/// limit first, which makes the kernel reclaim caches, and then the usage is compared.
fn lower_memory_v2(group: &Path, bytes: u64) -> io::Result<()> {
    let (max, high) = (group.join("memory.max"), group.join("memory.high"));
    let now = read(&max);
    if now.trim().parse().is_ok_and(|now: u64| bytes >= now) {
        return fs::write(max, bytes.to_string());
    }
    let held = Some(read(&high)).filter(|text| !text.trim().is_empty()).unwrap_or_else(|| "max".to_owned());
    fs::write(&high, bytes.to_string())?;
    let used = number(&read(&group.join("memory.current")));
    let outcome = match used <= bytes {
        true => fs::write(max, bytes.to_string()),
        false => Err(io::Error::new(
            ErrorKind::ResourceBusy,
            format!("{} MB are in use, which is more than {} MB", used >> 20, bytes >> 20),
        )),
    };
    fs::write(high, held.trim()).and(outcome)
}

fn weigh(hierarchy: &Hierarchy, group: &Path, shares: u64) -> io::Result<()> {
    match hierarchy.v2 {
        true => fs::write(group.join("cpu.weight"), weight(shares).to_string()),
        false => fs::write(group.join("cpu.shares"), shares.to_string()),
    }
}

/// Gives all dynos together the weight of a few workers, where workers are next to the group of all dynos.
pub(super) fn weigh_dynos(hierarchy: &Hierarchy, group: &Path) -> io::Result<()> {
    if hierarchy.has("cpu") { weigh(hierarchy, group, DYNOS_SHARES) } else { Ok(()) }
}

fn limit_cpu(hierarchy: &Hierarchy, group: &Path, quota_us: u64) -> io::Result<()> {
    if hierarchy.v2 {
        return fs::write(group.join("cpu.max"), format!("{quota_us} 100000"));
    }
    fs::write(group.join("cpu.cfs_period_us"), "100000")?;
    fs::write(group.join("cpu.cfs_quota_us"), quota_us.to_string())
}

/// v1 shares (2 to 262144) as v2 weight (1 to 10000), as OCI runtimes do.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

/// Writes to a file that this kernel may not have.
fn optional(file: &Path, text: &str) -> io::Result<()> {
    match fs::OpenOptions::new().write(true).truncate(true).open(file) {
        Ok(mut file) => io::Write::write_all(&mut file, text.as_bytes()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights() {
        assert_eq!((weight(2), weight(1024), weight(262_144)), (1, 39, 10_000));
        assert_eq!(weight(DYNOS_SHARES), 977);
    }

    #[test]
    fn memory_in_use_is_not_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path();
        let write = |name: &str, text: &str| fs::write(group.join(name), text).unwrap();
        let get = |name: &str| read(&group.join(name)).trim().to_owned();
        for (max, used, wanted, becomes) in [
            ("max\n", "100\n", 500, Ok("500")),
            ("1000\n", "100\n", 500, Ok("500")),
            ("1000\n", "900\n", 2000, Ok("2000")),
            ("1000\n", "600\n", 500, Err("1000")),
            ("max\n", "600\n", 500, Err("max")),
        ] {
            write("memory.max", max);
            write("memory.high", "max\n");
            write("memory.current", used);
            let done = lower_memory_v2(group, wanted);
            assert_eq!((done.is_ok(), get("memory.max").as_str()), (becomes.is_ok(), becomes.unwrap_or_else(|e| e)));
            assert_eq!(get("memory.high"), "max", "nobody is held for longer than it takes");
        }
    }
}

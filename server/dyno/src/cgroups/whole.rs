//! What all dynos together may use up: the limits of the group above theirs.
//!
//! The server, the router and the database are outside of it. So whatever dynos and builds do, the
//! reserve is the machine's, and when memory runs short inside, the kernel ends one of them.

use std::fs;
use std::io;
use std::path::Path;

use super::{Cgroups, Hierarchy, number, read};
use crate::host::Budget;

/// Against 100 for everybody else who wants the disks, where the kernel shares them out.
const IO_WEIGHT: &str = "50";

/// Sets the limits. A limit below what is in use now is refused by the kernel, which is told in the
/// error; the others are set all the same.
pub(super) fn limit(cgroups: &Cgroups, budget: &Budget) -> io::Result<()> {
    let mut outcome = Ok(());
    for hierarchy in &cgroups.hierarchies {
        outcome = outcome.and(limit_in(hierarchy, &cgroups.parent(hierarchy), budget));
    }
    outcome
}

fn limit_in(hierarchy: &Hierarchy, group: &Path, budget: &Budget) -> io::Result<()> {
    if hierarchy.has("blkio") || hierarchy.has("io") {
        // There is no such file unless a scheduler shares the disks out.
        for file in ["blkio.bfq.weight", "blkio.weight", "io.bfq.weight", "io.weight"] {
            let path = group.join(file);
            let _ = path.exists().then(|| fs::write(path, IO_WEIGHT));
        }
    }
    let pids = match hierarchy.has("pids") {
        true => fs::write(group.join("pids.max"), budget.pids.to_string()),
        false => Ok(()),
    };
    let memory = match (hierarchy.has("memory"), hierarchy.v2) {
        (false, _) => Ok(()),
        (true, true) => fs::write(group.join("memory.max"), budget.memory.to_string()),
        (true, false) => limit_memory_v1(group, budget.memory),
    };
    pids.and(memory)
}

/// Memory and swap together may not be below memory alone, so which of the two goes first depends on
/// what they were. Without accounting of swap the second does not exist.
fn limit_memory_v1(group: &Path, bytes: u64) -> io::Result<()> {
    let (memory, both) = (group.join("memory.limit_in_bytes"), group.join("memory.memsw.limit_in_bytes"));
    let _ = fs::write(&both, bytes.to_string());
    fs::write(&memory, bytes.to_string())?;
    let _ = fs::write(&both, bytes.to_string());
    Ok(())
}

/// The limits on memory and on processes that are in force.
pub(super) fn limits(cgroups: &Cgroups) -> (Option<u64>, Option<u64>) {
    let value = |controller: &str, v1: &str, v2: &str| {
        let hierarchy = cgroups.hierarchies.iter().find(|h| h.has(controller))?;
        let file = if hierarchy.v2 { v2 } else { v1 };
        // `max`, or a number near what 64 bits hold, stands for none.
        Some(number(&read(&cgroups.parent(hierarchy).join(file)))).filter(|n| *n > 0 && *n < 1 << 60)
    };
    (value("memory", "memory.limit_in_bytes", "memory.max"), value("pids", "pids.max", "pids.max"))
}

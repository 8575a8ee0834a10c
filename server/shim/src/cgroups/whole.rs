//! The limits of all dynos together: those of the group above theirs.
//!
//! The server, the router and the database are outside that group. So the reserve remains available to the machine
//! whatever dynos and builds do, and if memory runs out inside, the kernel kills one of their processes. Some processes
//! are reserved for shims and workers, so that dynos can be started and supervised however many processes tenants
//! create.

use std::fs;
use std::io;
use std::path::Path;

use super::{Cgroups, DYNOS, Hierarchy, limits::limit_memory, number, read};
use crate::Budget;

/// The disk weight, compared with the default of 100, where the kernel schedules disks.
const IO_WEIGHT: &str = "50";
/// The files for it. One exists only if the kernel has an I/O scheduler that supports weights.
const IO_FILES: [&str; 4] = ["blkio.bfq.weight", "blkio.weight", "io.bfq.weight", "io.weight"];

/// Sets the limits. A memory limit below the current usage is not set, which is an error; the others are set anyway.
pub(super) fn limit(cgroups: &Cgroups, budget: &Budget) -> io::Result<()> {
    let mut outcome = Ok(());
    for hierarchy in &cgroups.hierarchies {
        outcome = outcome.and(limit_in(hierarchy, &cgroups.parent(hierarchy), budget));
    }
    outcome
}

fn limit_in(hierarchy: &Hierarchy, group: &Path, budget: &Budget) -> io::Result<()> {
    if hierarchy.schedules_disks() {
        for file in IO_FILES {
            let path = group.join(file);
            let _ = path.exists().then(|| fs::write(path, IO_WEIGHT));
        }
    }
    let number = |group: &Path, most: u64| fs::write(group.join("pids.max"), most.to_string());
    let pids = match hierarchy.has("pids") {
        true => number(group, budget.pids).and(number(&group.join(DYNOS), budget.pids_of_dynos())),
        false => Ok(()),
    };
    let memory = if hierarchy.has("memory") { limit_memory(hierarchy, group, budget.memory) } else { Ok(()) };
    pids.and(memory)
}

/// The disk weight of all of them together, or why there is none.
pub(super) fn disk_weight(cgroups: &Cgroups) -> Result<Option<u64>, String> {
    let Some(hierarchy) = cgroups.hierarchies.iter().find(|h| h.schedules_disks()) else {
        return Err("the cgroup controller for disks (io, or blkio in version 1) is not available".to_owned());
    };
    let group = cgroups.parent(hierarchy);
    if !group.exists() {
        return Ok(None);
    }
    // `default 50` in version 2, with lines for single disks after it.
    let weight = |file: &str| read(&group.join(file)).lines().next()?.split(' ').next_back()?.parse().ok();
    match IO_FILES.into_iter().find_map(weight) {
        Some(weight) => Ok(Some(weight)),
        None => Err("the kernel has no I/O scheduler that supports weights, such as bfq".to_owned()),
    }
}

/// The limits on memory and on processes that are in force.
pub(super) fn limits(cgroups: &Cgroups) -> (Option<u64>, Option<u64>) {
    let value = |controller: &str, v1: &str, v2: &str| {
        let hierarchy = cgroups.hierarchies.iter().find(|h| h.has(controller))?;
        let file = if hierarchy.v2 { v2 } else { v1 };
        // `max`, or a number near the maximum of 64 bits, means no limit.
        Some(number(&read(&cgroups.parent(hierarchy).join(file)))).filter(|n| *n > 0 && *n < 1 << 60)
    };
    (value("memory", "memory.limit_in_bytes", "memory.max"), value("pids", "pids.max", "pids.max"))
}

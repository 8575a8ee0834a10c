//! Control groups, of either version: limits, counters, and who belongs to a dyno.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::{Limits, Stats};

const ROOT: &str = "/sys/fs/cgroup";
/// Our groups are all below this one.
const OURS: &str = "wharf";
/// The hierarchies of version 1 that are used.
const V1: [&str; 4] = ["memory", "cpu", "cpuacct", "pids"];

/// The group of one dyno; in version 1, one in each hierarchy.
#[derive(Clone, Debug)]
pub(crate) struct Cgroup {
    name: String,
    v2: bool,
}

impl Cgroup {
    /// The group of this name, whether it exists or not.
    pub(crate) fn new(name: &str) -> Cgroup {
        Cgroup { name: name.to_owned(), v2: Path::new(ROOT).join("cgroup.controllers").exists() }
    }

    /// The directory of a controller.
    pub(crate) fn dir(&self, controller: &str) -> PathBuf {
        let root = Path::new(ROOT);
        if self.v2 { root.join(OURS).join(&self.name) } else { root.join(controller).join(OURS).join(&self.name) }
    }

    fn dirs(&self) -> Vec<PathBuf> {
        if self.v2 { vec![self.dir("")] } else { V1.iter().map(|name| self.dir(name)).collect() }
    }

    /// Which parts a process in the group may see, and where below `/sys/fs/cgroup`.
    pub(crate) fn views(&self) -> Vec<(PathBuf, PathBuf)> {
        if self.v2 {
            return vec![(self.dir(""), ROOT.into())];
        }
        V1.iter().map(|name| (self.dir(name), Path::new(ROOT).join(name))).collect()
    }

    /// Makes the group with these limits.
    pub(crate) fn create(&self, limits: &Limits) -> anyhow::Result<()> {
        if self.v2 {
            let ours = Path::new(ROOT).join(OURS);
            fs::create_dir_all(&ours).context("make the cgroup of all dynos")?;
            for dir in [Path::new(ROOT), &ours] {
                // Controllers may be on already, and a container's root may refuse.
                let _ = fs::write(dir.join("cgroup.subtree_control"), "+cpu +memory +pids");
            }
        }
        for dir in self.dirs() {
            fs::create_dir_all(&dir).with_context(|| format!("make the cgroup {}", dir.display()))?;
        }
        self.limit(limits)
    }

    fn limit(&self, limits: &Limits) -> anyhow::Result<()> {
        let memory = limits.memory_max_bytes.to_string();
        self.set("pids", "pids.max", &limits.pids.to_string())?;
        if self.v2 {
            self.set("memory", "memory.max", &memory)?;
            // Without swap accounting there is no such file.
            let _ = self.set("memory", "memory.swap.max", "0");
            self.set("cpu", "cpu.weight", &weight(limits.cpu_shares).to_string())?;
            if limits.cpu_quota_us > 0 {
                self.set("cpu", "cpu.max", &format!("{} 100000", limits.cpu_quota_us))?;
            }
        } else {
            self.set("memory", "memory.limit_in_bytes", &memory)?;
            let _ = self.set("memory", "memory.memsw.limit_in_bytes", &memory);
            self.set("cpu", "cpu.shares", &limits.cpu_shares.clamp(2, 262_144).to_string())?;
            if limits.cpu_quota_us > 0 {
                self.set("cpu", "cpu.cfs_quota_us", &limits.cpu_quota_us.to_string())?;
            }
        }
        Ok(())
    }

    fn set(&self, controller: &str, file: &str, value: &str) -> anyhow::Result<()> {
        let path = self.dir(controller).join(file);
        // Not created: without the controller, the group directory lacks the file.
        let mut open = fs::OpenOptions::new();
        let file = open.write(true).open(&path).and_then(|mut f| io::Write::write_all(&mut f, value.as_bytes()));
        file.with_context(|| {
            format!("set {} (is the cgroup controller `{controller}` on? It is needed to limit dynos)", path.display())
        })
    }

    /// Puts a process into the group.
    pub(crate) fn add(&self, pid: i32) -> anyhow::Result<()> {
        for dir in self.dirs() {
            fs::write(dir.join("cgroup.procs"), pid.to_string())
                .with_context(|| format!("put a process into {}", dir.display()))?;
        }
        Ok(())
    }

    /// Who is in the group, by the host's process ids. Empty when there is no such group.
    pub(crate) fn pids(&self) -> Vec<i32> {
        let text = fs::read_to_string(self.dir("pids").join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
    }

    /// How many processes of the group the kernel killed for want of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        let file = if self.v2 { "memory.events" } else { "memory.oom_control" };
        self.field("memory", file, "oom_kill").unwrap_or(0)
    }

    /// What the group uses; `None` when there is no such group.
    pub(crate) fn stats(&self) -> Option<Stats> {
        let number = |controller, file| -> Option<u64> {
            fs::read_to_string(self.dir(controller).join(file)).ok()?.trim().parse().ok()
        };
        let memory = |name| self.field("memory", "memory.stat", name).unwrap_or(0);
        let pids = number("pids", "pids.current")?;
        let stats = if self.v2 {
            Stats {
                memory_rss: memory("anon"),
                memory_cache: memory("file"),
                memory_swap: number("memory", "memory.swap.current").unwrap_or(0),
                cpu_ns: self.field("cpu", "cpu.stat", "usage_usec").unwrap_or(0) * 1000,
                ..Stats::default()
            }
        } else {
            Stats {
                memory_rss: memory("total_rss"),
                memory_cache: memory("total_cache"),
                memory_swap: memory("total_swap"),
                cpu_ns: number("cpuacct", "cpuacct.usage").unwrap_or(0),
                ..Stats::default()
            }
        };
        Some(Stats { pids, oom_kills: self.oom_kills(), ..stats })
    }

    /// A number in a file of `name value` lines.
    fn field(&self, controller: &str, file: &str, name: &str) -> Option<u64> {
        let text = fs::read_to_string(self.dir(controller).join(file)).ok()?;
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found?.trim().parse().ok()
    }

    /// Kills everybody in the group until nobody is left. Returns whether that came to be in time.
    pub(crate) fn kill_all(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        loop {
            let pids = self.pids();
            if pids.is_empty() {
                return true;
            }
            for pid in pids {
                // SAFETY: a plain system call.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Removes the group, which nobody is in any more.
    pub(crate) fn remove(&self) -> io::Result<()> {
        for dir in self.dirs() {
            remove(&dir)?;
        }
        Ok(())
    }
}

/// The kernel takes a moment to see that a group's last process is gone.
fn remove(dir: &Path) -> io::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        match fs::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(e) => return Err(e),
        }
    }
}

/// Takes the calling process out of the group of whoever started it, so that a service manager
/// that clears its service's group leaves shims alone. Where it cannot, nothing is lost yet.
pub(crate) fn leave_service() {
    let pid = std::process::id().to_string();
    let mut roots = vec![PathBuf::from(ROOT)];
    for name in V1.iter().chain(&["systemd", "unified"]) {
        roots.push(Path::new(ROOT).join(name));
    }
    for root in roots {
        if root.join("cgroup.procs").exists() {
            let dir = root.join(OURS).join("shims");
            if fs::create_dir_all(&dir).is_ok() {
                let _ = fs::write(dir.join("cgroup.procs"), &pid);
            }
        }
    }
}

/// Version 1's shares (2 to 262144) as version 2's weight (1 to 10000).
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights() {
        assert_eq!(weight(0), 1);
        assert_eq!(weight(2), 1);
        assert_eq!(weight(1024), 39);
        assert_eq!(weight(u64::MAX), 10_000);
    }

    #[test]
    fn a_group_that_is_not_there_is_empty() {
        let group = Cgroup::new("not-there");
        assert!(group.pids().is_empty());
        assert_eq!(group.stats(), None);
        group.remove().expect("nothing to remove");
    }
}

//! Control groups: limits, counters, and the list of a dyno's processes. v1, v2 and mixtures.
//!
//! A dyno has the group `wharf/<id>` in every hierarchy that has a controller of [`CONTROLLERS`]; where processes are
//! counted, it is `wharf/dynos/<id>`, since some processes are reserved for shims and workers. A worker (see the crate
//! `worker`) has `wharf/worker-<id>`; all shims are in `wharf/shims`, so that killing the server's group does not kill
//! them. The group `wharf` has limits of its own ([`whole`]). In a v1 hierarchy that schedules disks, dynos are in
//! `wharf` itself.

mod entry_files;
mod limits;
mod shortage;
#[cfg(test)]
mod tests;
mod whole;

use std::fmt::Display;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

pub use self::entry_files::EntryFiles;
pub(crate) use self::entry_files::{Forked, OpenEntryFiles};
pub use self::shortage::{MemoryWatch, Shortage};
use crate::{Budget, Error, Limits, Stats};

/// The name of the group of all dynos and workers.
pub const WHARF: &str = "wharf";
/// The name of the group below it for all dynos, in hierarchies that count processes.
const DYNOS: &str = "dynos";
/// The controllers for dynos; the first three are required.
const CONTROLLERS: [&str; 5] = ["memory", "cpu", "pids", "cpuacct", "freezer"];

/// The hierarchies of this host, and the name of the group of all dynos and workers in them.
#[derive(Clone)]
pub struct Cgroups {
    hierarchies: Vec<Hierarchy>,
    name: String,
    /// Whether these are the groups of dynos, not those of workers.
    of_dynos: bool,
}

#[derive(Clone)]
struct Hierarchy {
    mount: PathBuf,
    v2: bool,
    controllers: Vec<String>,
}

impl Hierarchy {
    fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }

    fn is_for_dynos(&self) -> bool {
        CONTROLLERS.iter().any(|c| self.has(c))
    }

    /// Whether all dynos share one group, because this hierarchy only limits them as a whole.
    fn is_for_all(&self) -> bool {
        !self.v2 && !self.is_for_dynos() && self.has("blkio")
    }

    fn schedules_disks(&self) -> bool {
        self.has("io") || self.has("blkio")
    }
}

impl Cgroups {
    /// The groups of workers, in the group `name` like the dynos. Fails if they cannot be limited, naming what is
    /// missing.
    pub fn of_workers(name: &str) -> Result<Cgroups, Error> {
        Cgroups::find(name, false)
    }

    /// The groups of dynos.
    pub fn of_dynos(name: &str) -> Result<Cgroups, Error> {
        Cgroups::find(name, true)
    }

    /// Reads the mounted hierarchies.
    fn find(name: &str, of_dynos: bool) -> Result<Cgroups, Error> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(Error::io("read the list of mounts"))?;
        let hierarchies = mounts.lines().filter_map(hierarchy).collect();
        let cgroups = Cgroups { hierarchies, name: name.to_owned(), of_dynos };
        for controller in &CONTROLLERS[..3] {
            if !cgroups.hierarchies.iter().any(|h| h.has(controller)) {
                return Err(Error::Host(format!(
                    "The cgroup controller `{controller}` is not available. Mount cgroups \
                     (/sys/fs/cgroup) with `{controller}` enabled; for memory the kernel may need \
                     `cgroup_enable=memory` on its command line."
                )));
            }
        }
        Ok(cgroups)
    }

    fn parent(&self, hierarchy: &Hierarchy) -> PathBuf {
        hierarchy.mount.join(&self.name)
    }

    /// The group of a dyno or worker. Those of earlier versions are directly in the group of all.
    fn group_in(&self, hierarchy: &Hierarchy, id: impl Display) -> PathBuf {
        let parent = self.parent(hierarchy);
        let plain = parent.join(id.to_string());
        match self.of_dynos && hierarchy.has("pids") && !plain.exists() {
            true => parent.join(DYNOS).join(id.to_string()),
            false => plain,
        }
    }

    /// Creates the groups of all dynos and workers, and in v2 delegates the controllers to them.
    pub fn prepare(&self) -> Result<(), Error> {
        for hierarchy in &self.hierarchies {
            let parent = self.parent(hierarchy);
            make(&parent).map_err(Error::io(format!("create the cgroup {}", parent.display())))?;
            let mut above = vec![hierarchy.mount.clone(), parent.clone()];
            if hierarchy.has("pids") {
                let dynos = parent.join(DYNOS);
                make(&dynos).map_err(Error::io(format!("create the cgroup {}", dynos.display())))?;
                above.push(dynos);
            }
            if hierarchy.v2 && hierarchy.is_for_dynos() {
                above.iter().try_for_each(|dir| hand_down(hierarchy, dir))?;
            }
            if hierarchy.has("pids") {
                let weighed = limits::weigh_dynos(hierarchy, &parent.join(DYNOS));
                weighed.map_err(Error::io("set the CPU weight of the dynos"))?;
            }
        }
        Ok(())
    }

    /// Sets the limits of all dynos and workers together. Fails if the kernel rejects one; the others are set anyway.
    pub fn limit(&self, budget: &Budget) -> io::Result<()> {
        whole::limit(self, budget)
    }

    /// The limits on memory and on processes of all dynos together, if there are any.
    pub fn limits(&self) -> (Option<u64>, Option<u64>) {
        whole::limits(self)
    }

    /// The disk weight of all dynos and workers together, compared with 100 for everything else. `None` if their group does
    /// not exist yet; the error says why the kernel has no weights.
    pub fn disk_weight(&self) -> Result<Option<u64>, String> {
        whole::disk_weight(self)
    }

    /// The files for entering the groups of all shims, which are created if they are missing.
    pub(crate) fn shims(&self) -> io::Result<EntryFiles> {
        let mut entry_files = EntryFiles::default();
        for hierarchy in &self.hierarchies {
            let group = self.parent(hierarchy).join("shims");
            make(&group)?;
            entry_files.add(hierarchy, group);
        }
        Ok(entry_files)
    }

    /// Creates a dyno's groups with their limits and returns the files for entering them.
    pub fn create(&self, id: impl Display, limits: &Limits) -> io::Result<EntryFiles> {
        let mut entry_files = EntryFiles::default();
        for hierarchy in self.hierarchies.iter().filter(|h| h.is_for_dynos()) {
            let group = self.group_in(hierarchy, &id);
            make(&group)?;
            limits::limit(hierarchy, &group, limits)?;
            entry_files.add(hierarchy, group);
        }
        self.hierarchies.iter().filter(|h| h.is_for_all()).for_each(|h| entry_files.add(h, self.parent(h)));
        Ok(entry_files)
    }

    /// The files for entering the existing groups of a dyno.
    pub(crate) fn entries(&self, id: impl Display) -> Vec<PathBuf> {
        let own = self.hierarchies.iter().filter(|h| h.is_for_dynos()).map(|h| self.group_in(h, &id));
        let as_a_whole = self.hierarchies.iter().filter(|h| h.is_for_all()).map(|h| self.parent(h));
        own.chain(as_a_whole).map(|group| group.join("cgroup.procs")).filter(|file| file.exists()).collect()
    }

    /// Whether the dyno has as many processes as it may have.
    pub(crate) fn is_full(&self, id: impl Display) -> bool {
        let Some((_, group)) = self.group("pids", id) else { return false };
        // Without a limit, there is no number.
        let most = read(&group.join("pids.max")).trim().parse::<u64>();
        most.is_ok_and(|most| number(&read(&group.join("pids.current"))) >= most)
    }

    /// Sends a signal to every process of the dyno.
    pub fn signal(&self, id: impl Display, signal: i32) -> io::Result<()> {
        let mut signalled = Vec::new();
        // Repeated until there are no new processes: some may be forked between listing and signalling.
        for _ in 0..10 {
            let new: Vec<i32> = self.processes(&id)?.into_iter().filter(|p| !signalled.contains(p)).collect();
            if new.is_empty() {
                break;
            }
            for pid in new {
                // SAFETY: plain system call. A process that has exited already needs no signal.
                unsafe { libc::kill(pid, signal) };
                signalled.push(pid);
            }
        }
        Ok(())
    }

    /// Kills the remaining processes of a dyno and removes its groups.
    pub fn remove(&self, id: impl Display) -> io::Result<()> {
        for hierarchy in self.hierarchies.iter().filter(|h| h.is_for_dynos()) {
            let group = self.group_in(hierarchy, &id);
            // Killed processes stay in the group until they are reaped.
            for attempt in 0.. {
                match fs::remove_dir(&group) {
                    Err(e) if e.raw_os_error() == Some(libc::EBUSY) && attempt < 500 => {
                        for pid in processes(&group)? {
                            // SAFETY: plain system call.
                            unsafe { libc::kill(pid, libc::SIGKILL) };
                        }
                        sleep(Duration::from_millis(if attempt < 20 { 1 } else { 10 }));
                    }
                    Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                    _ => break,
                }
            }
        }
        Ok(())
    }

    /// Removes the empty groups whose name satisfies `is_lost`.
    pub fn remove_lost(&self, is_lost: impl Fn(&str) -> bool) -> io::Result<()> {
        for hierarchy in self.hierarchies.iter().filter(|h| h.is_for_dynos()) {
            for entry in fs::read_dir(self.parent(hierarchy))?.flatten() {
                if is_lost(&entry.file_name().to_string_lossy()) {
                    // A group that contains processes cannot be removed.
                    let _ = fs::remove_dir(entry.path());
                }
            }
        }
        Ok(())
    }

    /// Starts watching whether the group of a dyno or worker runs out of memory; `None` where memory is not counted.
    pub fn watch_memory(&self, id: impl Display) -> Option<MemoryWatch> {
        let (hierarchy, group) = self.group("memory", id)?;
        Some(MemoryWatch::new(&group, &self.parent(hierarchy), hierarchy.v2))
    }

    /// The number of the dyno's processes that were killed because memory ran out.
    fn oom_kills(&self, id: impl Display) -> u64 {
        let Some((hierarchy, group)) = self.group("memory", id) else { return 0 };
        let file = if hierarchy.v2 { "memory.events" } else { "memory.oom_control" };
        field(&read(&group.join(file)), "oom_kill")
    }

    /// The resource usage of the dyno; `None` if it has no groups.
    pub fn stats(&self, id: impl Display) -> Option<Stats> {
        let (memory, group) = self.group("memory", &id).filter(|(_, group)| group.exists())?;
        let stat = read(&group.join("memory.stat"));
        let (rss, cache, swap) = match memory.v2 {
            true => ("anon", "file", number(&read(&group.join("memory.swap.current")))),
            false => ("total_rss", "total_cache", field(&stat, "total_swap")),
        };
        let (_, pids) = self.group("pids", &id)?;
        Some(Stats {
            memory_rss: field(&stat, rss),
            memory_cache: field(&stat, cache),
            memory_swap: swap,
            cpu_ns: self.cpu_ns(&id),
            pids: number(&read(&pids.join("pids.current"))),
            oom_kills: self.oom_kills(id),
        })
    }

    fn cpu_ns(&self, id: impl Display) -> u64 {
        if let Some((_, group)) = self.group("cpuacct", &id) {
            return number(&read(&group.join("cpuacct.usage")));
        }
        let group = self.group("cpu", id).map(|(_, group)| group).unwrap_or_default();
        field(&read(&group.join("cpu.stat")), "usage_usec") * 1000
    }

    /// The processes of a dyno.
    pub(crate) fn processes(&self, id: impl Display) -> io::Result<Vec<i32>> {
        match self.group("pids", id) {
            Some((_, group)) => processes(&group),
            None => Ok(Vec::new()),
        }
    }

    fn group(&self, controller: &str, id: impl Display) -> Option<(&Hierarchy, PathBuf)> {
        let hierarchy = self.hierarchies.iter().find(|h| h.has(controller))?;
        Some((hierarchy, self.group_in(hierarchy, id)))
    }
}

/// A line of mountinfo, if it is a hierarchy with useful controllers. `cpuset` is left out: a new group in it accepts
/// no process until CPUs are assigned to it.
fn hierarchy(line: &str) -> Option<Hierarchy> {
    let (before, after) = line.split_once(" - ")?;
    let mount = PathBuf::from(before.split(' ').nth(4)?);
    let mut after = after.split(' ');
    let (kind, options) = (after.next()?, after.nth(1)?);
    let options: Vec<String> = options.split(',').map(str::to_owned).collect();
    match kind {
        "cgroup2" => {
            let controllers = fs::read_to_string(mount.join("cgroup.controllers")).ok()?;
            Some(Hierarchy {
                mount,
                v2: true,
                controllers: controllers.split_whitespace().map(str::to_owned).collect(),
            })
        }
        "cgroup" => {
            let hierarchy = Hierarchy { mount, v2: false, controllers: options };
            let usable = hierarchy.is_for_dynos() || hierarchy.is_for_all() || hierarchy.has("name=systemd");
            (usable && !hierarchy.has("cpuset")).then_some(hierarchy)
        }
        _ => None,
    }
}

/// Enables the controllers for the groups in `dir`.
fn hand_down(hierarchy: &Hierarchy, dir: &Path) -> Result<(), Error> {
    let control = dir.join("cgroup.subtree_control");
    for controller in CONTROLLERS.iter().filter(|c| hierarchy.has(c)) {
        let given = fs::write(&control, format!("+{controller}"));
        given.map_err(Error::io(format!("delegate the cgroup controller `{controller}` in {}", dir.display())))?;
    }
    // Limits the disk share of all dynos together, where the kernel supports it.
    let _ = hierarchy.has("io").then(|| fs::write(&control, "+io"));
    Ok(())
}

fn make(group: &Path) -> io::Result<()> {
    match fs::create_dir(group) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

fn processes(group: &Path) -> io::Result<Vec<i32>> {
    match fs::read_to_string(group.join("cgroup.procs")) {
        Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
        Err(e) if e.kind() == ErrorKind::NotFound || e.raw_os_error() == Some(libc::ENODEV) => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

/// The number behind `name` in lines of `name number`.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, number)
}

//! Kernel features that dynos need.

use std::{fs, path::Path, process::Command};

use super::search_path;

/// The result of a check: what was found, or what to do.
pub type Finding = Result<String, String>;

/// The namespaces of a dyno.
pub fn namespaces() -> Finding {
    let wanted = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];
    let missing: Vec<&str> = wanted.into_iter().filter(|ns| !Path::new("/proc/self/ns").join(ns).exists()).collect();
    if !missing.is_empty() {
        return Err(format!(
            "this kernel does not support {} namespaces; use one that does, such as Debian's",
            missing.join(", ")
        ));
    }
    let tried = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "true"])
        .env("PATH", search_path())
        .output();
    match tried {
        Ok(done) if done.status.success() => Ok("available".to_owned()),
        Ok(done) => Err(format!(
            "cannot be created ({}); in a container, start it with --privileged",
            String::from_utf8_lossy(&done.stderr).trim()
        )),
        Err(_) => Ok("supported by the kernel".to_owned()),
    }
}

/// The system calls that mount a dyno's files without following links.
pub fn mounts() -> Finding {
    // SAFETY: plain system call; without a descriptor and a structure it can only fail.
    let result = unsafe { libc::syscall(libc::SYS_mount_setattr, -1, c"".as_ptr(), 0, std::ptr::null::<u8>(), 0) };
    match result < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
        true => Err("mounting by descriptor is not supported; use Linux 5.12 or later".to_owned()),
        false => Ok("mounting by descriptor is supported".to_owned()),
    }
}

/// The file system that layers a dyno's writable files over its slug.
pub fn overlay() -> Finding {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    // Built as a module, it appears only once it is loaded.
    let loaded = known.contains("overlay")
        || Command::new("modprobe").arg("overlay").env("PATH", search_path()).status().is_ok_and(|s| s.success());
    match loaded {
        true => Ok("available".to_owned()),
        false => Err("missing; load it with: modprobe overlay".to_owned()),
    }
}

/// The limits on memory, processor and processes.
pub fn cgroups() -> Finding {
    let unified = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers");
    if let Ok(controllers) = &unified
        && ["cpu", "memory", "pids"].iter().all(|c| controllers.split_whitespace().any(|have| have == *c))
    {
        return Ok("version 2 with cpu, memory, pids".to_owned());
    }
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounted = |controller: &str| {
        table
            .lines()
            .filter(|l| l.contains(" - cgroup "))
            .any(|l| l.rsplit(' ').next().is_some_and(|o| o.split(',').any(|w| w == controller)))
    };
    let missing: Vec<&str> = ["cpu", "memory", "pids"].into_iter().filter(|c| !mounted(c)).collect();
    match missing.as_slice() {
        [] => Ok("version 1 with cpu, memory, pids".to_owned()),
        missing => Err(format!(
            "the controllers {} are missing; add cgroup_enable=memory to the kernel command line, or mount cgroup2 on /sys/fs/cgroup",
            missing.join(", ")
        )),
    }
}

/// Whether a disk has an I/O scheduler that uses the weights of groups, or a cost model with them.
pub fn weighs_disks() -> bool {
    let disks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let mut schedulers = disks.map(|disk| fs::read_to_string(disk.path().join("queue/scheduler")).unwrap_or_default());
    let model = fs::read_to_string("/sys/fs/cgroup/io.cost.qos").unwrap_or_default();
    model.contains("enable=1") || schedulers.any(|scheduler| scheduler.contains("[bfq]") || scheduler.contains("[cfq]"))
}

/// The firewall rules that isolate the networks of dynos.
pub fn nftables() -> Finding {
    match Command::new("nft").args(["list", "tables"]).env("PATH", search_path()).output() {
        Ok(done) if done.status.success() => Ok("available".to_owned()),
        Ok(done) => Err(format!(
            "not available ({}); load it with: modprobe nf_tables",
            String::from_utf8_lossy(&done.stderr).lines().next().unwrap_or_default()
        )),
        Err(_) => Err("nft is missing; install it with: apt-get install nftables".to_owned()),
    }
}

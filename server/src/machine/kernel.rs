//! What dynos need of the kernel.

use std::{fs, path::Path, process::Command};

use super::search_path;

/// One thing that was looked at: whether it is good, and what was found or what to do.
pub type Finding = Result<String, String>;

/// Namespaces of all kinds that a dyno gets.
pub fn namespaces() -> Finding {
    let wanted = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];
    let missing: Vec<&str> = wanted.into_iter().filter(|ns| !Path::new("/proc/self/ns").join(ns).exists()).collect();
    if !missing.is_empty() {
        return Err(format!(
            "this kernel has no {} namespaces; use one that has, such as Debian's",
            missing.join(", ")
        ));
    }
    let tried = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "true"])
        .env("PATH", search_path())
        .output();
    match tried {
        Ok(done) if done.status.success() => Ok("can be made".to_owned()),
        Ok(done) => Err(format!(
            "cannot be made ({}); in a container, start it with --privileged",
            String::from_utf8_lossy(&done.stderr).trim()
        )),
        Err(_) => Ok("known to the kernel".to_owned()),
    }
}

/// The calls by which a dyno's files are mounted through no link.
pub fn mounts() -> Finding {
    // SAFETY: plain system call; without a descriptor and a structure it can do nothing but say no.
    let result = unsafe { libc::syscall(libc::SYS_mount_setattr, -1, c"".as_ptr(), 0, std::ptr::null::<u8>(), 0) };
    match result < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
        true => Err("cannot be made by descriptor; use Linux 5.12 or later".to_owned()),
        false => Ok("can be made by descriptor".to_owned()),
    }
}

/// The file system that lays a dyno's own files over its slug.
pub fn overlay() -> Finding {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    // Built as a module it shows once it is used.
    let loaded = known.contains("overlay")
        || Command::new("modprobe").arg("overlay").env("PATH", search_path()).status().is_ok_and(|s| s.success());
    match loaded {
        true => Ok("is there".to_owned()),
        false => Err("is missing; load it with: modprobe overlay".to_owned()),
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
            "the controllers {} are not there; add cgroup_enable=memory to the kernel's command line, or mount cgroup2 on /sys/fs/cgroup",
            missing.join(", ")
        )),
    }
}

/// The rules that keep dynos' networks apart.
pub fn nftables() -> Finding {
    match Command::new("nft").args(["list", "tables"]).env("PATH", search_path()).output() {
        Ok(done) if done.status.success() => Ok("can be used".to_owned()),
        Ok(done) => Err(format!(
            "cannot be used ({}); load it with: modprobe nf_tables",
            String::from_utf8_lossy(&done.stderr).lines().next().unwrap_or_default()
        )),
        Err(_) => Err("cannot be used without nft; install it with: apt-get install nftables".to_owned()),
    }
}

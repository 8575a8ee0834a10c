//! The files that are written and read: in directories with the layout of version 2, and in this machine's hierarchies.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::*;

#[test]
fn hierarchies_are_read_from_mountinfo() {
    let line = "30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct";
    let found = hierarchy(line).unwrap();
    assert!(found.has("cpu") && found.has("cpuacct") && !found.v2);
    assert!(hierarchy("31 25 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset").is_none());
    assert!(hierarchy("1 2 0:3 / /proc rw - proc proc rw").is_none());
}

#[test]
fn counters_are_found_by_their_whole_name() {
    let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
    assert_eq!(field(text, "oom_kill"), 3);
}

/// Groups in a directory with the layout of version 2.
fn laid_out(mount: &Path, of_dynos: bool) -> Cgroups {
    fs::write(mount.join("cgroup.controllers"), "cpuset cpu io memory pids\n").unwrap();
    let line = format!("30 25 0:26 / {} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate", mount.display());
    Cgroups { hierarchies: vec![hierarchy(&line).unwrap()], name: WHARF.to_owned(), of_dynos }
}

#[test]
fn version_two_has_the_groups_and_limits() {
    let dir = tempfile::tempdir().unwrap();
    let (dynos, workers) = (laid_out(dir.path(), true), laid_out(dir.path(), false));
    let get = |path: &str| fs::read_to_string(dir.path().join(path)).unwrap();
    dynos.prepare().unwrap();
    for above in ["", "wharf/", "wharf/dynos/"] {
        assert_eq!(get(&format!("{above}cgroup.subtree_control")), "+io", "{above} (the last that was written)");
    }
    assert_eq!(get("wharf/dynos/cpu.weight"), "977");

    let limits = Limits { memory_max_bytes: 64 << 20, cpu_quota_us: 50_000, pids: 20, ..Limits::default() };
    let group = dir.path().join("wharf/dynos/one");
    fs::create_dir(&group).unwrap();
    fs::write(group.join("memory.swap.max"), "max").unwrap();
    assert_eq!(dynos.create("one", &limits).unwrap().files(), [group.join("cgroup.procs")]);
    let wanted = [
        ("memory.max", "67108864"),
        ("memory.swap.max", "0"),
        ("cpu.weight", "39"),
        ("cpu.max", "50000 100000"),
        ("pids.max", "20"),
    ];
    for (file, text) in wanted {
        assert_eq!(get(&format!("wharf/dynos/one/{file}")), text, "{file}");
    }
    for (count, is_full) in [("19", false), ("20", true), ("21", true)] {
        fs::write(group.join("pids.current"), count).unwrap();
        assert_eq!(dynos.is_full("one"), is_full, "{count}");
    }
    fs::write(group.join("pids.max"), "max").unwrap();
    assert!(!dynos.is_full("one"));
    // A worker is beside all dynos, so that their processes leave it its own.
    let procs = workers.create("worker-1", &limits).unwrap().files();
    assert_eq!(procs, [dir.path().join("wharf/worker-1/cgroup.procs")]);

    let budget = Budget { memory: 1 << 30, pids: 8000 };
    dynos.limit(&budget).unwrap();
    assert_eq!((get("wharf/pids.max"), get("wharf/dynos/pids.max")), ("8000".to_owned(), "7000".to_owned()));
    assert_eq!(dynos.limits(), (Some(1 << 30), Some(8000)));
}

#[test]
fn all_dynos_together_have_less_weight_at_disks() {
    let dir = tempfile::tempdir().unwrap();
    let (mut dynos, budget) = (laid_out(dir.path(), true), Budget { memory: 1 << 30, pids: 8000 });
    assert_eq!(dynos.disk_weight(), Ok(None), "nothing has been started yet");
    dynos.prepare().unwrap();
    dynos.limit(&budget).unwrap();
    assert!(dynos.disk_weight().unwrap_err().contains("no I/O scheduler"));
    let file = dir.path().join("wharf/io.weight");
    fs::write(&file, "default 100\n8:0 200\n").unwrap();
    assert_eq!(dynos.disk_weight(), Ok(Some(100)));
    dynos.limit(&budget).unwrap();
    assert_eq!((fs::read_to_string(file).unwrap().as_str(), dynos.disk_weight()), ("50", Ok(Some(50))));
    dynos.hierarchies[0].controllers.retain(|controller| controller != "io");
    assert!(dynos.disk_weight().unwrap_err().contains("not available"));
}

#[test]
fn version_two_says_what_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let cgroups = laid_out(dir.path(), true);
    cgroups.prepare().unwrap();
    assert_eq!(cgroups.stats("one"), None);
    let group = dir.path().join("wharf/dynos/one");
    fs::create_dir(&group).unwrap();
    let files = [
        ("memory.stat", "anon 1000\nfile 2000\nkernel 5\n"),
        ("memory.swap.current", "30\n"),
        ("cpu.stat", "usage_usec 7\nuser_usec 4\nsystem_usec 3\n"),
        ("pids.current", "4\n"),
        ("memory.events", "low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n"),
    ];
    files.iter().for_each(|(file, text)| fs::write(group.join(file), text).unwrap());
    let stats = Stats { memory_rss: 1000, memory_cache: 2000, memory_swap: 30, cpu_ns: 7000, pids: 4, oom_kills: 1 };
    assert_eq!(cgroups.stats("one"), Some(stats));
}

#[test]
fn version_two_tells_whose_shortage_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let cgroups = laid_out(dir.path(), true);
    cgroups.prepare().unwrap();
    let group = dir.path().join("wharf/dynos/one");
    fs::create_dir(&group).unwrap();
    for (events, whose) in [
        ("max 5\noom 0\noom_kill 0\n", None),
        ("max 5\noom 1\noom_kill 0\n", None),
        ("max 5\noom 1\noom_kill 1\n", Some(Shortage::Own)),
        ("max 5\noom 0\noom_kill 1\n", Some(Shortage::Shared)),
    ] {
        fs::write(group.join("memory.events.local"), events).unwrap();
        assert_eq!(cgroups.watch_memory("one").unwrap().shortage(), whose, "{events}");
    }
}

#[test]
fn a_dyno_of_an_earlier_version_is_found_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let cgroups = laid_out(dir.path(), true);
    cgroups.prepare().unwrap();
    let plain = dir.path().join("wharf/one");
    fs::create_dir(&plain).unwrap();
    fs::write(plain.join("cgroup.procs"), "17\n").unwrap();
    assert_eq!(cgroups.processes("one").unwrap(), [17]);
    assert_eq!(cgroups.group("pids", "two").unwrap().1, dir.path().join("wharf/dynos/two"));
}

/// In this machine's hierarchy of version 2, whatever its controllers.
#[test]
fn a_real_group_of_version_two_is_entered_and_cleared() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let Some(mut real) = mounts.lines().filter_map(hierarchy).find(|h| h.v2) else { return };
    // Neither limits nor counters, only the files that always exist.
    real.controllers = vec!["freezer".to_owned()];
    let name = format!("wharf-test-{}", std::process::id());
    let cgroups = Cgroups { hierarchies: vec![real.clone()], name, of_dynos: false };
    make(&cgroups.parent(&real)).unwrap();
    let [door] = &cgroups.create("one", &Limits::default()).unwrap().files()[..] else { panic!("one door") };
    let mut sleeper = Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(door, sleeper.id().to_string()).unwrap();
    assert_eq!(processes(door.parent().unwrap()).unwrap(), [sleeper.id() as i32]);
    // Reaped concurrently, because a group cannot be removed before its last process.
    let reaping = std::thread::spawn(move || sleeper.wait().unwrap());
    cgroups.remove("one").unwrap();
    assert_eq!(reaping.join().unwrap().signal(), Some(libc::SIGKILL));
    assert!(!door.exists());
    fs::remove_dir(cgroups.parent(&real)).unwrap();
}

/// In the hierarchy of version 2 that this machine has, as above.
#[test]
fn a_child_is_in_its_group_of_version_two_from_the_start() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let Some(mut real) = mounts.lines().filter_map(hierarchy).find(|h| h.v2) else { return };
    real.controllers = vec!["freezer".to_owned()];
    let name = format!("wharf-test-fork-{}", std::process::id());
    let cgroups = Cgroups { hierarchies: vec![real.clone()], name, of_dynos: false };
    make(&cgroups.parent(&real)).unwrap();
    let entry_files = cgroups.create("one", &Limits::default()).unwrap();
    let pid = match entry_files.open().unwrap().fork().unwrap() {
        // Other threads may hold locks, so the child calls nothing that takes one.
        Forked::Child(_) => loop {
            // SAFETY: plain system call.
            unsafe { libc::pause() };
        },
        Forked::Parent(pid) => pid,
    };
    assert_eq!(processes(entry_files.files()[0].parent().unwrap()).unwrap(), [pid]);
    let reaping = std::thread::spawn(move || {
        let mut status = 0;
        // SAFETY: plain system call; the child is ours.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
        status
    });
    cgroups.remove("one").unwrap();
    assert_eq!(libc::WTERMSIG(reaping.join().unwrap()), libc::SIGKILL);
    fs::remove_dir(cgroups.parent(&real)).unwrap();
}

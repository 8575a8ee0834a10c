//! The machine's resources: processes, memory, descriptors, terminals.

use dyno::{Driver, Host};

use crate::world::{World, until};

#[tokio::test]
async fn what_is_the_machines_is_bounded_for_a_tenant() {
    let world = World::new();
    super::all_fail(
        &world,
        &[
            ("processes end at the limit", "/usr/bin/python3 -c 'import os, time\nfor n in range(300):\n  if os.fork() == 0: time.sleep(20); os._exit(0)'"),
            ("threads are processes too", "/usr/bin/python3 -c 'import threading, time\nfor n in range(300): threading.Thread(target=time.sleep, args=(5,), daemon=True).start()'"),
            ("descriptors end at the limit", "/usr/bin/python3 -c 'import os\nfor n in range(70000): os.dup(0)'"),
            ("the limit on descriptors cannot be raised", "ulimit -Hn 1000000"),
            ("no core file is written", "test $(ulimit -Hc) != 0"),
            ("terminals are not all one tenant's", "/usr/bin/python3 -c 'import os\nfor n in range(200): os.openpty()'"),
            ("memory is not locked without limit", "test $(ulimit -Hl) = unlimited"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_memory_bomb_kills_its_own_dyno_alone() {
    let world = World::new();
    let bystander = world.spec("echo ready; exec sleep 1000");
    world.start_until(&bystander, "ready").await;
    let mut spec = world.spec(
        "while :; do /usr/bin/python3 -c 'x = [bytes([1]) * (1 << 24) for n in range(1000)]'; echo $?; done | head -3",
    );
    spec.limits.memory_max_bytes = 128 << 20;
    let (exit, lines) = world.run(&spec).await;
    assert!(exit.oom, "{lines:?}");
    // Bash reports each failure, too.
    assert!(lines.iter().all(|line| line == "137" || line.contains("Killed")), "{lines:?}");
    assert!(matches!(world.phase(bystander.id).await, Some(dyno::Phase::Running)));
}

#[tokio::test]
async fn a_tenant_goes_before_all_others_when_memory_runs_out() {
    let world = World::new();
    let score = "cat /proc/self/oom_score_adj";
    let spec = world.spec(&format!("{score}; (echo 0 > /proc/self/oom_score_adj) 2>&-; {score}; exec sleep 1000"));
    let handle = world.start(&spec).await;
    until(|| world.lines(handle.id).len() >= 2).await;
    let (own, said) = ((dyno::Worth::Dyno as i32).to_string(), world.lines(handle.id));
    assert_eq!(said[0], own);
    // If even root lacks CAP_SYS_RESOURCE, scores can only be raised, and are not checked.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let rights = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    if u64::from_str_radix(rights.trim(), 16).unwrap() & 1 << 24 != 0 {
        assert_eq!(said[1], own);
        let shim = std::fs::read_to_string(format!("/proc/{}/oom_score_adj", world.shim(spec.id))).unwrap();
        assert_eq!(shim.trim(), (dyno::Worth::Shim as i32).to_string());
    }
}

/// A fork bomb at the process limit of all dynos does not affect shims, and thereby others' dynos.
#[tokio::test]
async fn processes_of_tenants_leave_some_for_shims() {
    let group = format!("wharf-test-{}", std::process::id());
    let world = World::with(&Host { group: group.clone(), ..Host::default() });
    for (place, most) in [("dynos/pids.max", "40"), ("pids.max", "60")] {
        let version_one = std::path::Path::new("/sys/fs/cgroup/pids").join(&group).join(place);
        let version_two = std::path::Path::new("/sys/fs/cgroup").join(&group).join(place);
        std::fs::write(if version_one.exists() { version_one } else { version_two }, most).unwrap();
    }
    let bomb = world.spec(
        "exec /usr/bin/python3 -c 'import os, time\ntry:\n while True:\n  if os.fork() == 0: time.sleep(1000)\nexcept OSError as e: print(e.strerror, flush=True); time.sleep(1000)'",
    );
    world.start_until(&bomb, "Resource temporarily unavailable").await;
    // The next one gets a shim, which can still report errors.
    let next = world.spec("echo alive");
    let (exit, said) = world.run(&next).await;
    assert_eq!((exit.error, said), (None, vec!["alive".to_owned()]));
    drop(world);
    leave(&group).await;
}

#[tokio::test]
async fn all_dynos_together_leave_the_machine_its_reserve() {
    let group = format!("wharf-test-{}", std::process::id());
    let host = Host { reserve: Some(u64::MAX), group: group.clone(), ..Host::default() };
    let world = World::with(&host);
    let budget = host.budget().unwrap();
    assert_eq!(host.in_force().unwrap(), (Some(budget.memory), Some(budget.pids)));
    // Each may use it alone, but not both together.
    let hog = "exec /usr/bin/python3 -c 'import time; x = bytearray(200 << 20); time.sleep(1000)'";
    let (one, other) = (world.spec(hog), world.spec(hog));
    world.start(&one).await;
    world.start(&other).await;
    let (first, _) = tokio::select! {
        exit = world.driver.wait(one.id) => (exit.unwrap(), "one"),
        exit = world.driver.wait(other.id) => (exit.unwrap(), "other"),
    };
    assert_eq!(first.signal, Some(libc::SIGKILL));
    assert!(first.crowded && !first.oom, "it is over no limit of its own: {first:?}");
    drop(world);
    leave(&group).await;
}

#[tokio::test]
async fn all_dynos_together_have_less_weight_at_disks_than_the_machine() {
    let group = format!("wharf-test-disks-{}", std::process::id());
    let host = Host { group: group.clone(), ..Host::default() };
    let world = World::with(&host);
    let spec = world.spec("echo ready; exec sleep 1000");
    world.start_until(&spec, "ready").await;
    let mounts = ["/sys/fs/cgroup/blkio", "/sys/fs/cgroup"].map(|mount| std::path::Path::new(mount).join(&group));
    let files = ["blkio.bfq.weight", "blkio.weight", "io.bfq.weight", "io.weight"];
    let can = mounts.iter().any(|group| files.iter().any(|file| group.join(file).exists()));
    match host.disk_weight() {
        Ok(weight) => {
            assert_eq!(weight, Some(50), "everything else has 100");
            assert!(can, "no file has this weight");
        }
        Err(why) => {
            eprintln!("Disk weights cannot be tested on this machine: {why}.");
            assert!(!can, "{why}, but there is a file for it");
        }
    }
    drop(world);
    leave(&group).await;
}

/// Removes the groups of a test once they are empty.
async fn leave(group: &str) {
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        let group = hierarchy.path().join(group);
        for dir in [group.join("shims"), group.join("dynos"), group].into_iter().filter(|dir| dir.exists()) {
            until(|| std::fs::remove_dir(&dir).is_ok()).await;
        }
    }
}

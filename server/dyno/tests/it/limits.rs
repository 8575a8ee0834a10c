//! Memory, processes, CPU, and counters.

use dyno::Driver;

use crate::world::{World, until};

const HOG: &str = "/usr/bin/python3 -c 'x = bytearray(200 << 20); print(len(x))'";

#[tokio::test]
async fn too_much_memory_is_an_oom_kill() {
    let world = World::new();
    let mut spec = world.spec(&format!("exec {HOG}"));
    spec.limits.memory_max_bytes = 64 << 20;
    let (exit, lines) = world.run(&spec).await;
    assert_eq!((exit.signal, exit.oom), (Some(libc::SIGKILL), true), "{lines:?}");
}

#[tokio::test]
async fn the_oom_kill_of_a_child_is_noticed() {
    let world = World::new();
    let mut spec = world.spec(&format!("{HOG}; echo child $?; exit 5"));
    spec.limits.memory_max_bytes = 64 << 20;
    let (exit, lines) = world.run(&spec).await;
    assert_eq!((exit.code, exit.oom), (Some(5), true), "{lines:?}");
    assert!(lines.iter().any(|line| line == "child 137"), "{lines:?}");
}

#[tokio::test]
async fn processes_are_limited() {
    let world = World::new();
    let mut spec = world.spec(
        "/usr/bin/python3 -c '\nimport os, time\nn = 0\ntry:\n while n < 100:\n  if os.fork() == 0: time.sleep(100)\n  n += 1\nexcept OSError as e: print(n < 20, e.strerror)'",
    );
    spec.limits.pids = 20;
    let (_, lines) = world.run(&spec).await;
    assert_eq!(lines, ["True Resource temporarily unavailable"]);
}

#[tokio::test]
async fn use_is_counted_while_it_runs() {
    let world = World::new();
    let mut spec = world.spec(
        "exec /usr/bin/python3 -c 'import time; x = b\"x\" * (50 << 20); print(\"ready\", flush=True); time.sleep(1000)'",
    );
    spec.limits.cpu_quota_us = 50_000;
    world.start_until(&spec, "ready").await;
    let stats = world.driver.stats(spec.id).await.unwrap().unwrap();
    assert!(stats.memory_rss > 50 << 20, "{stats:?}");
    assert!(stats.cpu_ns > 1_000_000, "{stats:?}");
    assert_eq!((stats.pids, stats.oom_kills), (1, 0));

    world.driver.signal(spec.id, libc::SIGKILL).await.unwrap();
    world.driver.wait(spec.id).await.unwrap();
    assert_eq!(world.driver.stats(spec.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_fork_bomb_can_be_killed() {
    let world = World::new();
    let mut spec = world.spec("echo ready; bomb() { bomb | bomb & }; bomb; sleep 1000");
    spec.limits.pids = 100;
    world.start_until(&spec, "ready").await;
    let many = async || world.driver.stats(spec.id).await.unwrap().is_none_or(|stats| stats.pids > 50);
    while !many().await {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    world.driver.remove(spec.id).await.unwrap();
    until(|| !world.state(spec.id).exists()).await;
}

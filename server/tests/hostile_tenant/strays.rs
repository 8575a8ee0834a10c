//! Builds and release phases that never end are ended even without a server.

use std::{fs, process::Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::world::{World, repo::Repo, wait_until};

/// The process that sleeps this long, by its id on the host.
fn sleeper(seconds: u32) -> Option<i32> {
    let wanted = format!("sleep\0{seconds}\0");
    let line = |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_string_lossy().parse().ok());
    pids.into_iter().find(|pid| line(pid) == wanted.as_bytes())
}

/// The mounts below the world's directory.
fn mounts(world: &World) -> Vec<String> {
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let data = world.data();
    let mark = data.to_str().unwrap();
    all.lines().filter(|line| line.contains(mark)).map(str::to_owned).collect()
}

#[test]
fn stopping_the_platform_stops_what_it_builds_and_releases() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "endless");
    repo.commit("trap '' TERM; sleep 100011 & wait; wait");
    let url = repo.url();
    let mut push = repo.command(&repo.folder, &["push", &url, "main"]).stderr(Stdio::null()).spawn().unwrap();
    world.release(json!({ "release": "exec sleep 100012" }));
    wait_until("both run", || sleeper(100_011).is_some() && sleeper(100_012).is_some());
    assert!(up.stop().success());
    push.wait().unwrap();
    assert_eq!((sleeper(100_011), sleeper(100_012)), (None, None));
    assert_eq!(mounts(&world), Vec::<String>::new());
}

#[test]
fn a_release_phase_outlives_the_server_and_ends_with_its_app() {
    let world = World::new();
    let mut up = world.up(&[]);
    let app = world.release(json!({ "release": "exec sleep 100013" }));
    // Two more are queued behind it.
    for n in 0..2 {
        world.api("PATCH", &format!("/apps/{app}/config-vars"), json!({ "N": n }));
    }
    wait_until("it runs", || sleeper(100_013).is_some());
    let phase = sleeper(100_013);
    let server = world.pid_of("server");
    kill(Pid::from_raw(server), Signal::SIGKILL).unwrap();
    wait_until("the server is there again", || {
        let is_new = world.processes().iter().any(|(pid, line)| line.trim() == "wharfd server" && *pid != server);
        let api = [("Accept", "application/vnd.heroku+json; version=3")];
        is_new && world.ask("GET", "/account", &api, b"").is_some_and(|answer| answer.status == 401)
    });
    assert_eq!(sleeper(100_013), phase);
    let statuses = || {
        let all = world.api("GET", &format!("/apps/{app}/releases"), Value::Null);
        all.as_array().unwrap().iter().map(|r| r["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(statuses(), ["succeeded", "pending", "pending", "pending"]);
    world.api("DELETE", &format!("/apps/{app}"), Value::Null);
    wait_until("it has ended", || sleeper(100_013).is_none());
    wait_until("its jobs have ended", || {
        let info = world.api("GET", "/platform", Value::Null);
        info["jobs"].as_array().unwrap().iter().all(|job| job["state"] == "failed")
    });
    assert!(up.stop().success());
}

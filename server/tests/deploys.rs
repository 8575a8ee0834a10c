//! Deploys that fail, with real git and real processes: what the push says, what runs, and what the branch is.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod world;

use std::process::Stdio;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use world::{World, repo::Repo, wait_until};

const SERVES: &str = "web: python3 -m http.server $PORT\n";

/// An app that serves with v2 and has a worker, and its repository. Its releases are watched for this long.
fn served<'a>(world: &'a World, app: &str, watch_seconds: u32) -> Repo<'a> {
    let repo = Repo::new(world, app);
    let (ok, said) = repo.push_procfile(&format!("{SERVES}worker: sleep 100000\n"), &[]);
    assert!(ok, "{said}");
    world.api("PATCH", &format!("/apps/{app}/formation/worker"), json!({ "quantity": 1 }));
    world.api("PATCH", &format!("/apps/{app}"), json!({ "watch_seconds": watch_seconds }));
    wait_until("both run", || repo.running() == ["web.1 v2", "worker.1 v2"]);
    repo
}

#[test]
fn a_deploy_that_fails_is_a_push_that_fails_and_changes_nothing() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = served(&world, "failing", 10);
    let first = repo.tip("main");
    for (version, procfile, words) in [
        (3, "web: exit 3\n", "v3 did not stay up: web.1: Process exited with status 3"),
        // After it has bound its port, and got requests.
        (
            4,
            "web: timeout 1.5 python3 -m http.server $PORT\n",
            "v4 did not stay up: web.1: Process exited with status 124",
        ),
        (
            5,
            "web: python3 -m http.server $PORT\nrelease: echo migrating; exit 5\n",
            "The release command of v5 failed: Process exited with status 5",
        ),
    ] {
        let (ok, said) = repo.push_procfile(procfile, &[]);
        assert!(!ok && said.contains(words), "{words}: {said}");
        assert!(said.contains("[remote rejected]") && said.contains("can be pushed again"), "{said}");
        assert_eq!(said.contains("remote:        migrating"), version == 5, "{said}");
        assert_eq!(repo.tip("main"), first);
        assert_eq!(world.ask_host("failing", "/build").trim(), "true");
        wait_until("the old release runs", || repo.running() == ["web.1 v2", "worker.1 v2"]);
        let releases = repo.list("releases");
        let failed = releases.iter().find(|release| release["version"] == version).unwrap();
        assert_eq!((&failed["status"], &failed["current"]), (&json!("failed"), &json!(false)));
    }
    // The same commit, once more.
    let (ok, said) = repo.push(&["main"]);
    assert!(!ok && said.contains("The release command of v6 failed"), "{said}");
    // Without waiting, the push goes through, and the release fails all the same.
    let (ok, said) = repo.push_procfile("web: exit 3\n", &["-o", "wait=no"]);
    assert!(ok && said.contains("wharf releases:wait v7 --app failing"), "{said}");
    assert_ne!(repo.tip("main"), first);
    wait_until("the release has failed", || repo.list("releases").last().unwrap()["status"] == "failed");
    let (ok, said) = repo.push_procfile(SERVES, &["-o", "wait=never"]);
    assert!(!ok && said.contains("wait must be no, up, or a number of seconds"), "{said}");

    // One that stays up takes over, with everything else.
    let (ok, said) = repo.push(&["main"]);
    assert!(ok && said.contains("v8 is up") && said.contains("watching it for 10 s"), "{said}");
    wait_until("only the new release runs", || repo.running() == ["web.1 v8"]);
    assert!(up.stop().success());
}

#[test]
fn a_deploy_that_does_not_listen_fails_after_a_minute() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = served(&world, "deaf", 1);
    let first = repo.tip("main");
    let (ok, said) = repo.push_procfile("web: echo starting; sleep 1000\n", &[]);
    assert!(!ok && said.contains("v3 did not stay up: web.1: Boot timeout"), "{said}");
    assert!(said.contains("v2 keeps serving traffic"), "{said}");
    assert_eq!(repo.tip("main"), first);
    wait_until("the old release runs", || repo.running() == ["web.1 v2", "worker.1 v2"]);
    assert!(up.stop().success());
}

#[test]
fn a_server_that_is_killed_while_a_release_is_watched_decides_about_the_branch_afterwards() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = served(&world, "killed", 10);
    let first = repo.tip("main");
    let second = repo.commit("echo second > made");
    let url = repo.url();
    let client = repo.command(&repo.folder, &["push", &url, "main"]).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the release is watched", || {
        repo.list("releases").last().is_some_and(|r| r["version"] == 3 && r["rollout"] == "watching")
    });
    kill(Pid::from_raw(world.pid_of("server")), Signal::SIGKILL).unwrap();
    let said = client.wait_with_output().unwrap();
    assert!(!said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    // Meanwhile, the new dynos serve.
    assert_eq!(world.ask_host("killed", "/made").trim(), "second");
    wait_until("the server is back", || {
        world.ask_api("GET", "/apps/killed", Value::Null).is_some_and(|a| a.status == 200)
    });
    assert!([&first, &second].contains(&&repo.tip("main")));
    wait_until("the branch is moved", || repo.tip("main") == second);
    wait_until("the build has succeeded", || repo.last_build().as_deref() == Some("succeeded"));
    wait_until("the new release runs", || repo.running() == ["web.1 v3", "worker.1 v3"]);
    assert!(up.stop().success());
}

//! Pushes with real git to an entire server: builds, rejections and leftovers.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod world;

use std::{fs, os::unix::process::CommandExt as _, process::Stdio};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::Value;
use world::{
    World,
    repo::{Repo, commit, git},
    wait_until,
};

#[test]
fn what_is_pushed_is_built_and_kept_and_what_fails_changes_nothing() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "pushed");

    let first = repo.commit("echo $SOURCE_VERSION > made; echo building it");
    let (ok, said) = repo.push(&["HEAD:main"]);
    assert!(ok, "{said}");
    for words in ["remote: -----> Test app detected", "building it", "Released v2", "deployed to Wharf"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(repo.tip("main"), first);
    let page = world.ask_host("pushed", "/made");
    assert_eq!(page.trim(), first);
    // The author of the push, and the message of the commit.
    let events = world.api("GET", "/apps/pushed/events", Value::Null);
    let actor =
        |action: &str| events.as_array().unwrap().iter().find(|e| e["action"] == action).unwrap()["actor"].clone();
    assert_eq!((actor("build.push"), actor("release.create")), (actor("app.create"), actor("app.create")));
    let summary = world.api("GET", "/app-statuses", Value::Null);
    assert_eq!(summary[0]["release"]["message"], "echo $SOURCE_VERSION > made; echo building it");

    // A build that fails.
    repo.commit("echo about to fail; exit 3");
    let (ok, said) = repo.push(&["main"]);
    assert!(!ok && said.contains("about to fail") && said.contains("Push rejected"), "{said}");
    assert_eq!((repo.tip("main"), repo.releases().len()), (first.clone(), 2));
    assert_eq!(world.ask_host("pushed", "/made").trim(), first);

    // Other branches; the deployed one stays.
    let (ok, said) = repo.push(&["main:refs/heads/try"]);
    assert!(ok && said.contains("Stored the branch try"), "{said}");
    let (ok, said) = repo.push(&[":main"]);
    assert!(!ok && said.contains("cannot be deleted"), "{said}");
    assert_eq!(repo.releases().len(), 2);

    // History that was rewritten, by force; and from a shallow clone.
    git(&repo.folder, &["reset", "-q", "--hard", &first]);
    fs::write(repo.folder.join("build"), "echo two > made").unwrap();
    git(&repo.folder, &["-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "-q", "-a", "--amend", "-m", "two"]);
    assert!(!repo.push(&["main"]).0);
    let (ok, said) = repo.push(&["-f", "main"]);
    assert!(ok, "{said}");
    let shallow = world.dir.path().join("shallow");
    git(world.dir.path(), &["clone", "-q", "--depth", "1", &format!("file://{}", repo.folder.display()), "shallow"]);
    fs::write(shallow.join("build"), "echo three > made").unwrap();
    commit(&shallow, "three");
    let (ok, said) = repo.push_from(&shallow, &["HEAD:main"]);
    assert!(ok, "{said}");
    assert_eq!(world.ask_host("pushed", "/made").trim(), "three");

    // The code can be cloned again.
    git(world.dir.path(), &["clone", "-q", &repo.url(), "back"]);
    assert_eq!(fs::read_to_string(world.dir.path().join("back/build")).unwrap(), "echo three > made");
    assert!(up.stop().success());
}

#[test]
fn the_second_of_two_concurrent_pushes_is_warned_and_rejected() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "race");
    repo.commit("true");
    assert!(repo.push(&["main"]).0);
    let base = repo.releases().len();

    let slow = repo.commit("echo slow; sleep 3");
    let url = repo.url();
    let first = repo.command(&repo.folder, &["push", &url, "main"]).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the first one builds", || repo.list("builds").len() == 2);
    git(&repo.folder, &["reset", "-q", "--hard", "HEAD~1"]);
    repo.commit("echo other");
    let (ok, said) = repo.push(&["-f", "main"]);
    assert!(said.contains("build 2 is still running. This push waits for it."), "{said}");
    assert!(said.contains("wharf builds:cancel 2 --app race"), "{said}");
    assert!(!ok && said.contains("Somebody else pushed to this branch at the same time"), "{said}");
    assert!(first.wait_with_output().unwrap().status.success());
    assert_eq!(repo.tip("main"), slow);
    assert_eq!(repo.releases().len(), base + 1);
    assert!(up.stop().success());
}

#[test]
fn the_end_of_a_push_reports_which_release_serves() {
    let world = World::new();
    let mut up = world.up(&[]);
    let push = |repo: &Repo, procfile: &str| {
        let (ok, said) = repo.push_procfile(procfile, &[]);
        assert!(ok, "{said}");
        said
    };
    let said = push(&Repo::new(&world, "quiet"), "worker: sleep 1000\n");
    assert!(said.contains("There is no web process type") && !said.contains("web=1"), "{said}");
    assert!(said.contains("Process types: worker (wharf ps:scale worker=1 --app quiet)"), "{said}");

    let repo = Repo::new(&world, "crash");
    let (ok, said) = repo.push_procfile("web: exit 3\n", &[]);
    assert!(!ok && said.contains("v2 did not stay up: web.1: Process exited with status 3"), "{said}");
    assert!(said.contains("No other release is serving traffic") && !said.contains("keeps serving"), "{said}");
    assert!(push(&repo, "web: python3 -m http.server $PORT\n").contains("deployed to Wharf"));
    let (ok, said) = repo.push_procfile("web: exit 4\n", &[]);
    assert!(!ok && said.contains("v3 keeps serving traffic. Last log lines of v4:"), "{said}");
    assert!(up.stop().success());
}

#[test]
fn a_client_that_vanishes_leaves_nothing_half_done() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "gone");
    repo.commit("echo started; sleep 100000");
    let url = repo.url();
    let mut push = repo.command(&repo.folder, &["push", &url, "main"]);
    let mut client = push.stderr(Stdio::null()).process_group(0).spawn().unwrap();
    wait_until("it builds", || world.sleeper().is_some());
    killpg(Pid::from_raw(client.id() as i32), Signal::SIGKILL).unwrap();
    client.wait().unwrap();
    wait_until("the build is given up", || repo.last_build().as_deref() == Some("failed"));
    assert_eq!((repo.tip("main"), repo.releases().len()), (String::new(), 1));
    assert_eq!(world.sleeper(), None);

    // The next one is not affected.
    repo.commit("true");
    let (ok, said) = repo.push(&["main"]);
    assert!(ok, "{said}");
    assert!(up.stop().success());
}

#[test]
fn a_build_ends_with_its_app() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "doomed");
    repo.commit("echo started; sleep 100000");
    let url = repo.url();
    let push = repo.command(&repo.folder, &["push", &url, "main"]).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it builds", || world.sleeper().is_some());
    world.api("DELETE", "/apps/doomed", Value::Null);
    assert!(!push.wait_with_output().unwrap().status.success());
    wait_until("nothing of it runs", || world.sleeper().is_none());
    wait_until("its address is free", || {
        world.ask_as("doomed.localhost", "GET", "/", b"").is_some_and(|page| page.status == 404)
    });
    // The next app of that name is known at once, and has nothing of the old one.
    let repo = Repo::new(&world, "doomed");
    let page = world.ask_as("doomed.localhost", "GET", "/", b"").unwrap();
    assert!(page.status == 503 && page.body.contains("doomed is ready for your code"), "{}", page.body);
    assert_eq!((repo.list("builds").len(), repo.releases().len()), (0, 1));
    assert!(up.stop().success());
}

#[test]
fn a_push_that_goes_on_from_one_that_is_built_is_built_after_it() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "onwards");
    repo.commit("true");
    assert!(repo.push(&["main"]).0);
    repo.commit("sleep 6; echo first > made");
    let url = repo.url();
    let first = repo.command(&repo.folder, &["push", &url, "main"]).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the first one builds", || repo.list("builds").len() == 2);
    let last = repo.commit("echo last > made");
    let second = repo.command(&repo.folder, &["push", &url, "main"]).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the second one waits", || repo.list("builds").len() == 3);
    let (first, second) = (first.wait_with_output().unwrap(), second.wait_with_output().unwrap());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(first.status.success() && second.status.success(), "{said}");
    assert!(said.contains("Build 2, from which this push goes on, is still running"), "{said}");
    assert_eq!((repo.tip("main"), world.ask_host("onwards", "/made").trim()), (last, "last"));
    assert!(up.stop().success());
}

#[test]
fn a_push_to_a_former_name_is_deployed_and_told_the_new_one() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "before");
    repo.commit("echo one > made");
    world.api("PATCH", "/apps/before", serde_json::json!({ "name": "after" }));
    let (ok, said) = repo.push(&["HEAD:main"]);
    assert!(ok, "{said}");
    assert!(said.contains("before was renamed to after") && said.contains("/after.git"), "{said}");
    assert_eq!(world.ask_host("after", "/made").trim(), "one");
    let events = world.api("GET", "/apps/after/events", Value::Null);
    let push = events.as_array().unwrap().iter().find(|event| event["action"] == "build.push").unwrap();
    assert!(push["summary"].as_str().unwrap().contains("with the token \""), "{push}");
    assert!(up.stop().success());
}

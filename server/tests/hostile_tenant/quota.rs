//! Attempts to reserve space that others need with pushes that send nothing.

use std::{fs, io::Write as _, net::TcpStream, process::Command};

use serde_json::json;

use crate::world::{
    World,
    repo::{Repo, commit, git},
    wait_until,
};

/// Declares more than fits anywhere, and sends only the beginning.
fn dawdle(repo: &Repo) -> TcpStream {
    let line = |text: String| format!("{:04x}{text}", text.len() + 4);
    let (nothing, tip) = ("0".repeat(40), git(&repo.folder, &["rev-parse", "HEAD"]));
    let commands = line(format!("{nothing} {} refs/heads/slow\0 report-status side-band-64k", tip.trim())) + "0000";
    let head = format!(
        "POST /{}.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 900000000\r\n\r\n",
        repo.app,
        repo.world.token()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", repo.world.port)).unwrap();
    stream.write_all((head + &commands + "PACK\0\0\0\x02\0\0\0\x01").as_bytes()).unwrap();
    stream
}

/// A repository of the team with a commit of `kilobytes`.
fn repo<'a>(world: &'a World, name: &str, kilobytes: usize) -> Repo<'a> {
    world.api("POST", "/teams/apps", json!({ "name": name, "team": "crew" }));
    let folder = world.dir.path().join(name);
    fs::create_dir_all(&folder).unwrap();
    git(&folder, &["init", "-q", "-b", "main"]);
    // Random data does not compress.
    let size = (kilobytes << 10).to_string();
    let noise = Command::new("head").args(["-c", &size, "/dev/urandom"]).output().unwrap().stdout;
    fs::write(folder.join("noise"), noise).unwrap();
    commit(&folder, "noise");
    Repo { world, folder, app: name.into() }
}

#[test]
fn a_push_that_brings_nothing_keeps_no_room_from_others() {
    let world = World::new();
    let mut up = world.up(&[]);
    world.api("POST", "/teams", json!({ "name": "crew" }));
    world.api("PATCH", "/teams/crew/quotas", json!({ "repository_bytes": 8 << 20 }));
    let (slow, quick, large) = (repo(&world, "slow", 1), repo(&world, "quick", 2000), repo(&world, "large", 7000));
    // Their repositories are created, and take some space.
    for repo in [&slow, &quick, &large] {
        git(&repo.folder, &["ls-remote", &repo.url()]);
    }
    let _held = dawdle(&slow);
    wait_until("git is at work", || world.processes_of("receive-pack") > 0);
    let (ok, said) = quick.push(&["main:refs/heads/try"]);
    assert!(ok, "{said}");
    // A push without space is rejected, and git adds no further error.
    let (ok, said) = large.push(&["main:refs/heads/try"]);
    assert!(!ok && said.contains("[remote rejected] main -> try"), "{said}");
    assert!(!said.contains("RPC failed") && !said.contains("hung up"), "{said}");
    assert!(up.stop().success());
}

#[test]
fn of_pushes_at_once_as_many_land_as_fit_and_the_others_say_why() {
    let world = World::new();
    let mut up = world.up(&[]);
    world.api("POST", "/teams", json!({ "name": "crew" }));
    // Two of these fit, beside the repositories themselves.
    world.api("PATCH", "/teams/crew/quotas", json!({ "repository_bytes": 8 << 20 }));
    let repos = ["one", "two", "three", "four"].map(|name| repo(&world, name, 3000));
    for repo in &repos {
        git(&repo.folder, &["ls-remote", &repo.url()]);
    }
    let done: Vec<(bool, String)> = std::thread::scope(|scope| {
        let pushes = repos.each_ref().map(|repo| scope.spawn(move || repo.push(&["main:refs/heads/try"])));
        pushes.into_iter().map(|push| push.join().unwrap()).collect()
    });
    assert_eq!(done.iter().filter(|(ok, _)| *ok).count(), 2, "{done:?}");
    for (_, said) in done.iter().filter(|(ok, _)| !ok) {
        let is_told = said.contains("Other pushes in progress") || said.contains("(quota \"repository_bytes\")");
        assert!(is_told && !said.contains("unpacker error"), "{said}");
        assert!(!said.contains("RPC failed") && !said.contains("hung up"), "{said}");
    }
    assert!(up.stop().success());
}

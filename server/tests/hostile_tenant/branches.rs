//! Attempts to deploy or break an app through the name or the target of a ref.

use std::{io::Write as _, process::Stdio};

use crate::world::{
    World,
    repo::{Repo, git},
};

#[test]
fn main_and_master_are_deployed_and_nothing_that_looks_like_them() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "named");
    let commit = repo.commit("true");

    // No ref can exist below a deployed branch, since it would conflict with it.
    for name in ["refs/heads/main/x", "refs/heads/master/x/y"] {
        let (ok, said) = repo.push(&[&format!("HEAD:{name}")]);
        assert!(!ok && said.contains("only main and master are deployed"), "{name}: {said}");
    }
    // Stored, but not deployed.
    for name in ["refs/heads/Main", "refs/heads/MASTER", "refs/heads/mainly", "refs/heads/x/main", "refs/tags/main"] {
        let (ok, said) = repo.push(&[&format!("HEAD:{name}")]);
        assert!(ok && !said.contains("-----> Test app"), "{name}: {said}");
    }
    // Refs with a special meaning for git, for us, or for others are rejected.
    let meaning = [
        format!("refs/replace/{commit}"),
        "refs/for/main".into(),
        "refs/wharf/sample".into(),
        "refs/notes/commits".into(),
        "refs/remotes/origin/main".into(),
        "refs/stash".into(),
        "refs/main".into(),
    ];
    for name in &meaning {
        let (ok, said) = repo.push(&[&format!("HEAD:{name}")]);
        assert!(!ok && said.contains("hidden ref"), "{name}: {said}");
    }
    let listed = git(&repo.folder, &["ls-remote", &repo.url()]);
    assert!(!listed.lines().any(|line| meaning.iter().any(|name| line.ends_with(name.as_str()))), "{listed}");
    assert!(repo.list("builds").is_empty());

    // Files and tags of them are not commits, wherever they are pushed to.
    let blob = git(&repo.folder, &["rev-parse", "HEAD:build"]).trim().to_owned();
    let who = ["-c", "user.name=E", "-c", "user.email=e@example.com"];
    git(&repo.folder, &[&who[..], &["tag", "-a", "-m", "tag", "v1", &blob]].concat());
    let tag = git(&repo.folder, &["rev-parse", "v1"]).trim().to_owned();
    for (what, name) in [(&blob, "main"), (&tag, "main"), (&blob, "master"), (&blob, "other")] {
        let (ok, said) = repo.push(&["-f", &format!("{what}:refs/heads/{name}")]);
        assert!(!ok, "{name}: {said}");
    }
    assert!(repo.list("builds").is_empty());

    let (ok, said) = repo.push(&["main"]);
    assert!(ok, "{said}");
    assert_eq!((repo.tip("main"), repo.tip("main/x")), (commit, String::new()));
    assert!(up.stop().success());
}

#[test]
fn thousands_of_refs_in_one_push_are_refused_and_hundreds_are_not() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "many");
    let commit = repo.commit("true");
    let branches = |from: usize, to: usize| {
        let lines: String = (from..to).map(|n| format!("create refs/heads/b{n} {commit}\n")).collect();
        let mut update = repo.command(&repo.folder, &["update-ref", "--stdin"]);
        let mut update = update.stdin(Stdio::piped()).spawn().unwrap();
        update.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(update.wait().unwrap().success());
    };
    branches(0, 300);
    let (ok, said) = repo.push(&["refs/heads/b*:refs/heads/b*"]);
    assert!(ok && said.contains("Stored 290 more branches"), "{said}");
    branches(300, 3000);
    let (ok, said) = repo.push(&["refs/heads/b*:refs/heads/b*"]);
    assert!(!ok && said.contains("A push can change at most 1000 branches and tags"), "{said}");
    assert!(said.lines().count() < 20, "it is as long as the list: {said}");
    assert_eq!(repo.tip("b2999"), "");

    // A deletion is a push, too.
    let (ok, said) = repo.push(&[":refs/heads/b0", ":refs/heads/b1", ":refs/heads/never"]);
    assert!(ok || said.contains("never"), "{said}");
    assert_eq!(repo.tip("b0"), "");
    assert!(up.stop().success());
}

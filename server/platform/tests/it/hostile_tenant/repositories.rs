//! Attempts to make the server scan repositories repeatedly, and to use one more often concurrently than allowed.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, lchown},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::world::{World, until};

/// The repository of an app.
fn repository(t: &World, app: &api::apps::App) -> PathBuf {
    t.data().join("git").join(format!("{}.git", app.id))
}

fn git(repository: &Path, args: &[&str]) -> String {
    let mut git = Command::new("git");
    let done = git.args(["-c", "safe.directory=*", "--git-dir"]).arg(repository).args(args).output().unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

#[tokio::test]
async fn who_has_no_place_has_nothing_looked_at_and_nothing_made() {
    let t = World::start().await;
    t.app("dawn").await;
    let dusk = t.app("dusk").await;
    // These responses are not read, so git keeps running.
    let mut held = Vec::new();
    for _ in 0..10 {
        let answer = t.owner.ask("GET", "/dawn.git/info/refs?service=git-upload-pack").open().await;
        assert_eq!(answer.status(), 200);
        held.push(answer);
    }
    for service in ["git-receive-pack", "git-upload-pack"] {
        let refused = t.owner.get(&format!("/dusk.git/info/refs?service={service}")).await;
        assert_eq!(refused.status, 429, "{refused:?}");
    }
    // A sample counts as a push, too.
    let refused = t.owner.post("/apps/dusk/samples/node", Value::Null).await;
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(!repository(&t, &dusk).exists());
    held.clear();
    until("the places are free", async || {
        let answer = t.owner.get("/dusk.git/info/refs?service=git-receive-pack").await;
        if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
}

#[tokio::test]
async fn samples_at_once_do_not_break_one_another() {
    let t = World::start().await;
    t.app("dusk").await;
    let asked = (0..8).map(|_| t.owner.post("/apps/dusk/samples/static", Value::Null));
    let answers = futures::future::join_all(asked).await;
    assert!(answers.iter().all(|answer| answer.status == 201), "{answers:?}");
}

#[tokio::test]
async fn a_sample_finds_a_full_repository_as_a_push_does() {
    let t = World::start().await;
    assert_eq!(t.stranger.post("/apps", json!({ "name": "dusk" })).await.status, 201);
    sqlx::query("update apps set repo_size = 5000").execute(&t.db).await.unwrap();
    let set = t.owner.patch("/users/stranger@example.com/quotas", json!({ "repository_bytes": 4000 })).await;
    assert_eq!(set.status, 200, "{set:?}");
    let refused = t.stranger.post("/apps/dusk/samples/static", Value::Null).await.error();
    assert_eq!(refused.0, 422);
    assert!(refused.2.contains("quota \"repository_bytes\""), "{refused:?}");
}

#[tokio::test]
async fn many_refs_are_packed_after_a_push() {
    let t = World::start().await;
    let app = t.app("dusk").await;
    let build = t.owner.post("/apps/dusk/samples/static", Value::Null).await.json();
    let commit = build["source_blob"]["version"].as_str().unwrap();
    let repository = repository(&t, &app);
    let owner = fs::metadata(&repository).unwrap().uid();
    let tags = repository.join("refs/tags");
    for n in 0..600 {
        let tag = tags.join(format!("t{n}"));
        fs::write(&tag, format!("{commit}\n")).unwrap();
        lchown(&tag, Some(owner), Some(owner)).unwrap();
    }
    // It changes nothing, but counts as a push.
    assert_eq!(t.owner.ask("POST", "/dusk.git/git-receive-pack").body("0000").await.status, 200);
    until("the refs are packed", async || match files(&tags).len() {
        0 => Ok(()),
        left => Err(format!("{left} files")),
    })
    .await;
    assert_eq!(git(&repository, &["for-each-ref", "--format=%(refname)", "refs/tags"]).lines().count(), 600);
}

#[tokio::test]
async fn those_who_come_first_at_once_find_one_whole_repository() {
    let t = World::start().await;
    let app = t.app("dusk").await;
    let asked = (0..8).map(|_| t.owner.get("/dusk.git/info/refs?service=git-receive-pack"));
    let answers = futures::future::join_all(asked).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let made = fs::read_dir(t.data().join("git")).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(made.iter().filter(|name| name.to_string_lossy().contains(&app.id.to_string())).count(), 1, "{made:?}");
}

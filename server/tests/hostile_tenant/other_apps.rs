//! Attempts to access the code of other apps through git.

use serde_json::json;

use crate::world::{World, repo::Repo};

#[test]
fn somebody_elses_repository_is_not_there() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "mine");
    repo.commit("true");
    assert!(repo.push(&["main"]).0);
    world.api("POST", "/teams", json!({ "name": "others" }));
    world.api("POST", "/teams/others/service-accounts", json!({ "name": "stranger" }));
    let ask = json!({ "scope": ["write"], "expires_in": 3600, "description": "theirs" });
    let token = world.api("POST", "/teams/others/service-accounts/stranger/authorizations", ask);
    let token = token["access_token"]["token"].as_str().unwrap();
    let url = repo.url().replace(&world.token(), token);
    for args in [vec!["ls-remote", &url], vec!["push", &url, "HEAD:main"], vec!["push", &url, "HEAD:other"]] {
        let done = repo.command(&repo.folder, &args).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && said.contains("not found"), "{args:?}: {said}");
    }
    // Paths that lead out of the directory of repositories.
    for path in ["../mine.git", "%2e%2e%2fmine.git", "hooks.git", ".git", "..git"] {
        let url = format!("http://x:{}@localhost:{}/{path}", world.token(), world.port);
        let done = repo.command(&repo.folder, &["ls-remote", &url]).output().unwrap();
        assert!(!done.status.success() || path.contains("mine"), "{path}");
    }
    assert!(up.stop().success());
}

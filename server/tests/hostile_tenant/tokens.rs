//! Clones and pushes end with the token that they use.

use std::{io::Read as _, process::Stdio};

use serde_json::{Value, json};

use crate::{
    leftovers::{begin, below_server, is_git},
    world::{World, repo::Repo, wait_until},
};

/// A separate token: its id and its value.
fn token(world: &World) -> (String, String) {
    let made = world.api("POST", "/oauth/authorizations", json!({}));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["id"]), text(&made["access_token"]["token"]))
}

fn revoke(world: &World, id: &str) {
    world.api("DELETE", &format!("/oauth/authorizations/{id}"), Value::Null);
}

#[test]
fn a_transfer_ends_with_the_token_that_it_was_begun_with() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "ended");
    let commit = repo.commit("true");
    assert!(repo.push(&["main"]).0);
    wait_until("the push is over", || below_server(&world).iter().all(|(_, line)| !is_git(line)));

    // In the middle of a client's upload.
    for service in ["git-receive-pack", "git-upload-pack"] {
        let (id, token) = token(&world);
        let mut stream = begin(&world, "ended", service, &token, &commit);
        let verb = service.trim_start_matches("git-").to_owned();
        wait_until("git is at work", || below_server(&world).iter().any(|(_, line)| line.contains(&verb)));
        revoke(&world, &id);
        let mut said = Vec::new();
        // It ends, successfully or not, while the client keeps it open.
        let _ = stream.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        assert!(service == "git-upload-pack" || said.contains("Your token has expired"), "{service}: {said}");
        wait_until("git is gone", || below_server(&world).iter().all(|(_, line)| !is_git(line)));
    }

    // In the middle of a build that real git waits for.
    let (id, token) = token(&world);
    repo.commit("echo it builds; sleep 60");
    let url = repo.url().replace(&world.token(), &token);
    let mut push = repo.command(&repo.folder, &["push", &url, "main"]);
    let client = push.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it builds", || repo.list("builds").len() == 2);
    revoke(&world, &id);
    let done = client.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success() && said.contains("Your token has expired"), "{said}");
    wait_until("its build is over", || repo.last_build().as_deref() == Some("failed"));
    assert_eq!(repo.releases().len(), 2);
    assert!(up.stop().success());
}

//! Requests that are rejected while the client still sends: it gets the response instead of a connection reset.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod world;

use std::{fs::File, process::Command};

use serde_json::{Value, json};
use world::{
    World,
    repo::{Repo, git},
};

/// Far more than fits into the sockets and buffers on the path.
const MUCH: usize = 64 << 20;

/// The path of a new slug's upload.
fn slug(world: &World, app: &str) -> String {
    let slug = world.api("POST", &format!("/apps/{app}/slugs"), json!({ "process_types": { "web": "./server" } }));
    let url = slug["blob"]["url"].as_str().unwrap();
    url[url.find("/blobs").unwrap()..].to_owned()
}

/// Curl's output for the response to an upload, and its own messages.
fn curl(world: &World, file: &str, path: &str, options: &[&str]) -> String {
    let url = format!("http://localhost:{}{path}", world.port);
    let done = Command::new("curl").args(["-sS", "-T", file, "-w", " %{http_code}", &url]).args(options).output();
    let done = done.unwrap();
    String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
}

#[test]
fn a_client_rejected_while_sending_gets_the_reason() {
    let world = World::new();
    let mut up = world.up(&[]);
    world.api("POST", "/teams", json!({ "name": "crew" }));
    world.api("POST", "/teams/apps", json!({ "name": "dawn", "team": "crew" }));
    let (full, free) = (slug(&world, "dawn"), slug(&world, "dawn"));
    world.api("PATCH", "/teams/crew/quotas", json!({ "upload_bytes": 1 << 20 }));
    let file = world.dir.path().join("much");
    File::create(&file).unwrap().set_len(MUCH as u64).unwrap();
    let file = file.to_str().unwrap();
    let much = vec![0; MUCH];

    // Quota exceeded; invalid URL; no such route; unauthenticated.
    for (path, status, words) in [
        (full.as_str(), 422, "upload_bytes"),
        ("/blobs/slugs/nonsense", 404, "Couldn't find that slug"),
        ("/nonsense", 404, "not found"),
        ("/dawn.git/git-receive-pack", 401, "Invalid credentials"),
    ] {
        let method = if path.starts_with("/dawn.git") { "POST" } else { "PUT" };
        for _ in 0..5 {
            // Sends everything before it reads anything.
            let answer = world.ask(method, path, &[], &much).unwrap_or_else(|| panic!("{path}: no answer"));
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
            assert!(answer.body.contains(words), "{path}: {}", answer.body);
        }
        let mut ways = vec![vec![], vec!["-H", "Expect:"]];
        // A body of undeclared size is checked when it has arrived.
        if path != full {
            ways.push(vec!["-H", "Transfer-Encoding: chunked"]);
        }
        for way in ways {
            let options = &[&["-X", method], &way[..]].concat()[..];
            let said = curl(&world, file, path, options);
            assert!(said.contains(&status.to_string()) && said.contains(words), "{path} {options:?}: {said}");
            assert!(!said.contains("curl:"), "{path} {options:?}: {said}");
        }
    }
    let answer = world.ask_as("nobody.localhost", "PUT", "/", &much).unwrap();
    assert_eq!(answer.status, 404, "{}", answer.body);

    // The next upload is not affected.
    world.api("PATCH", "/teams/crew/quotas", json!({ "upload_bytes": null }));
    let answer = world.ask("PUT", &free, &[], b"no slug").unwrap();
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(up.stop().success());
}

#[test]
fn a_push_of_too_many_tags_is_refused_with_the_reason() {
    let world = World::new();
    let mut up = world.up(&[]);
    let repo = Repo::new(&world, "tags");
    let tip = repo.commit("true");
    for n in 0..1001 {
        std::fs::write(repo.folder.join(format!(".git/refs/tags/tag-of-some-length-{n}")), &tip).unwrap();
    }
    let (ok, said) = repo.push(&["--tags"]);
    assert!(!ok && said.contains("fatal: remote error: A push can change at most 1000 branches and tags"), "{said}");
    assert!(said.lines().count() < 10, "{said}");
    for words in ["RPC failed", "curl", "failed to report"] {
        assert!(!said.contains(words), "{words}: {said}");
    }
    assert_eq!(git(&repo.folder, &["ls-remote", &repo.url()]), "");
    assert_eq!(world.api("GET", "/apps/tags/builds", Value::Null), json!([]));
    assert!(up.stop().success());
}

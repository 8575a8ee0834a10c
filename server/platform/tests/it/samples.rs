//! Samples: the first commit of an app, built like a push.

use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn a_sample_is_built_from_a_commit_of_its_own() {
    let t = World::start().await;
    t.app("dusk").await;
    let all = t.owner.sample_list().await.unwrap();
    assert_eq!(all.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["node", "python", "static"]);
    assert_eq!(all[2].files, ["index.html"]);

    let answer = t.owner.post("/apps/dusk/samples/node", Value::Null).await;
    assert_eq!(answer.status, 201);
    let build = answer.json();
    assert_eq!(build["number"], json!(1));
    assert_eq!(build["source_blob"]["version_description"], json!("Start from the Node.js sample"));
    let commit = build["source_blob"]["version"].as_str().unwrap().to_owned();
    let repository = t.data().join("git").join(format!("{}.git", build["app"]["id"].as_str().unwrap()));
    let git = |args: &[&str]| {
        let done = std::process::Command::new("git")
            .args(["-c", "safe.directory=*", "--git-dir"])
            .arg(&repository)
            .args(args)
            .output()
            .unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    assert_eq!(git(&["ls-tree", "--name-only", &commit]), "Procfile\npackage.json\nserver.js\n");
    let server = include_str!("../../../builds/samples/node/server.js");
    assert_eq!(git(&["show", &format!("{commit}:server.js")]), server);

    // Another sample can be tried before anything is deployed: again a commit without a parent.
    let other = t.owner.post("/apps/dusk/samples/static", Value::Null).await.json();
    let other = other["source_blob"]["version"].as_str().unwrap().to_owned();
    assert_eq!(git(&["rev-list", "--count", &other]), "1\n");

    git(&["update-ref", "refs/heads/main", &commit]);
    let late = t.owner.post("/apps/dusk/samples/static", Value::Null).await.error();
    assert_eq!((late.0, late.2.as_str()), (422, "The app already has code. Samples are only for apps without code."));
    assert_eq!(t.owner.post("/apps/dusk/samples/none", Value::Null).await.error().0, 404);
    assert_eq!(t.stranger.post("/apps/dusk/samples/node", Value::Null).await.error().0, 404);
}

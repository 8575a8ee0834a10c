//! `deploy`: what is sent, and what comes of it.

use std::fs;

use serde_json::{Value, json};

use crate::{
    Home, Said,
    platform::{ID, Platform, build, release},
};

const RELEASE: &str = "GET /apps/dusk/releases/0b9a1c1e-0000-7000-8000-000000000002";
const BUILD: &str = "GET /apps/dusk/builds/0b9a1c1e-0000-7000-8000-000000000000";

/// Deploys a folder with one file to a platform where a build and a release end like this.
fn deployed(built: Value, released: Value, args: &[&str]) -> (Said, Vec<String>) {
    assert!(BUILD.ends_with(ID));
    let home = Home::new();
    let urls =
        json!({ "get_url": "http://platform/blobs/sources/get", "put_url": "http://platform/blobs/sources/put" });
    let platform = Platform::start(vec![
        ("POST /apps/dusk/sources", 201, json!({ "source_blob": urls })),
        ("PUT /blobs/sources/put", 200, json!(null)),
        ("POST /apps/dusk/builds", 201, build("pending")),
        ("GET /streams/builds/secret", 200, json!("-----> Building")),
        (BUILD, 200, built),
        (RELEASE, 200, released),
        ("GET /streams/releases/secret", 200, json!("migrating")),
    ]);
    home.log_in(&platform.url, "x");
    fs::create_dir(home.0.join("site")).unwrap();
    fs::write(home.0.join("site/index.html"), "<h1>Hello</h1>").unwrap();
    let said = home.wharf(&[&["deploy", "site", "--app", "dusk"], args].concat());
    (said, platform.changes())
}

#[test]
fn a_deploy_that_comes_up_is_0() {
    let (said, asked) = deployed(build("succeeded"), release(2, Some('a'), "Deploy"), &["--wait", "up"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("-----> Building") && said.err.contains("Deployed v2 to"), "{said:?}");
    assert!(said.err.contains("Uploading ") && !said.err.contains('\x1b'), "{}", said.err);
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(asked[1].starts_with("PUT /blobs/sources/put \u{1f}"), "it is compressed: {asked:?}");
    assert!(asked[2].contains("/blobs/sources/get") && asked[2].contains(r#""wait":"up""#), "{asked:?}");

    let (said, _) = deployed(build("pending"), json!(null), &["--no-wait"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("wharf builds:output 1 --app dusk"), "{}", said.err);
}

#[test]
fn a_deploy_that_fails_is_1_and_says_where() {
    let mut early = build("failed");
    early["release"] = json!(null);
    let (said, _) = deployed(early, json!(null), &[]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("failed: the build command failed"), "{}", said.err);

    // A build waits for its release, and says what became of it.
    let mut late = build("failed");
    late["error"] = json!("the release command of v2 failed: Process exited with status 3");
    let mut failed = release(2, Some('a'), "Deploy");
    failed["status"] = json!("failed");
    failed["output_stream_url"] = json!("http://platform/streams/releases/secret");
    let (said, _) = deployed(late, failed, &[]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("the release command of v2 failed") && said.out.contains("migrating"), "{said:?}");
}

#[test]
fn a_redeploy_ends_as_a_deploy_does() {
    let redeployed = |built: Value, args: &[&str]| {
        let home = Home::new();
        let platform = Platform::start(vec![
            ("POST /apps/dusk/actions/redeploy", 201, build("pending")),
            ("GET /streams/builds/secret", 200, json!("-----> Building")),
            (BUILD, 200, built),
            (RELEASE, 200, release(2, Some('a'), "Deploy")),
        ]);
        home.log_in(&platform.url, "x");
        let said = home.wharf(&[&["redeploy", "--app", "dusk"], args].concat());
        (said, platform.changes())
    };
    let (said, asked) = redeployed(build("succeeded"), &["--wait", "up"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("-----> Building") && said.err.contains("Deployed v2 to"), "{said:?}");
    assert!(asked[0].contains(r#""wait":"up""#), "{asked:?}");
    let (said, asked) = redeployed(build("failed"), &[]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("failed: the build command failed"), "{}", said.err);
    assert!(!asked[0].contains("wait"), "{asked:?}");
    let (said, _) = redeployed(build("pending"), &["--no-wait"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("wharf builds:output 1 --app dusk"), "{}", said.err);
}

#[test]
fn what_cannot_be_sent_is_said_before_anything_is_asked() {
    let home = Home::new();
    let platform = Platform::start(Vec::new());
    home.log_in(&platform.url, "x");
    for (args, words) in [
        (&["deploy", "nowhere", "--app", "dusk"][..], "read nowhere"),
        (&["deploy", "--ref", "main", "--app", "dusk"], "main is not a commit of this folder's git repository"),
        (&["deploy", "--ref=-x", "--app", "dusk"], "-x is not a commit"),
        (&["deploy", "x", "--ref", "main", "--app", "dusk"], "cannot be used with"),
    ] {
        let said = home.wharf(args);
        assert_eq!(said.code, Some(1), "{args:?}");
        assert!(said.err.contains(words), "{args:?}: {}", said.err);
    }
    assert!(platform.heard().is_empty());
}

#[test]
fn a_release_command_is_retried_with_the_same_code() {
    let home = Home::new();
    let mut failed = release(3, Some('a'), "Deploy abc");
    failed["status"] = json!("failed");
    let mut again = release(4, Some('a'), "Retry of v3: Deploy abc");
    again["rollout"] = json!("passed");
    let platform = Platform::start(vec![
        ("GET /apps/dusk/releases", 200, json!([failed])),
        ("POST /apps/dusk/releases", 201, again),
    ]);
    home.log_in(&platform.url, "x");
    let said = home.wharf(&["releases:retry", "--app", "dusk"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("Retrying v3 of ⬢ dusk... done, v4"), "{}", said.err);
    let asked = platform.changes();
    assert!(asked[0].contains(r#""description":"Retry of v3: Deploy abc""#) && asked[0].contains("slug"), "{asked:?}");

    let platform = Platform::start(vec![("GET /apps/dusk/releases", 200, json!([release(3, Some('a'), "Set A")]))]);
    home.log_in(&platform.url, "x");
    let said = home.wharf(&["releases:retry", "--app", "dusk"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("no release command"), "{}", said.err);
}

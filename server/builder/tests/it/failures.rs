//! Builds that fail, are cancelled, or are malicious.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use builder::Error;

use crate::support::{Host, host_with};

#[tokio::test]
async fn an_app_of_no_known_kind() {
    let built = Host::new(&[("README.md", "x")]).build().await;
    built.says(" !     No default language could be detected for this app.\n").says("package.json");
    assert_eq!(built.why(), "no default language could be detected for this app");
}

#[tokio::test]
async fn a_buildpack_that_is_not_for_this_app() {
    let mut host = Host::new(&[("index.html", "x")]);
    host.request.buildpacks = vec!["heroku/python".into()];
    let built = host.build().await;
    assert_eq!(built.says("Using buildpack: heroku/python").why(), "failed to detect set buildpack heroku/python");
    host.request.buildpacks = vec!["heroku/cobol".into()];
    assert_eq!(host.build().await.says("heroku/cobol").why(), "failed to find the buildpacks");
}

#[tokio::test]
async fn versions_that_cannot_be_had() {
    let node = |engines: &str| format!("{{\"engines\": {{\"node\": \"{engines}\"}}}}");
    for (files, sentence) in [
        (vec![("package.json", node("99.x"))], "Node.js 99.x, which package.json asks for, cannot be had"),
        (vec![("package.json", node("banana"))], "\"banana\" in package.json is not a range"),
        (vec![("package.json", "{".into())], "\n !     package.json cannot be read"),
        (
            vec![("requirements.txt", String::new()), (".python-version", "3.7".into())],
            "Python 3.7, which .python-version asks for, cannot be had: this stack has Python 3.",
        ),
        (
            vec![("requirements.txt", String::new()), ("runtime.txt", "python-2.7.18\n".into())],
            "Python \"2.7.18\", which runtime.txt asks for, is not a version that can be had",
        ),
        (
            vec![("Cargo.toml", String::new()), ("rust-toolchain.toml", "[toolchain]\nchannel = \"nightly\"\n".into())],
            "Rust nightly, which rust-toolchain.toml asks for, cannot be had: this stack has Rust 1.",
        ),
    ] {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let built = Host::new(&files).build().await;
        assert!(built.says(sentence).why().starts_with("failed to compile "), "{}", built.why());
    }
}

#[tokio::test]
async fn a_build_that_fails() {
    let (_dir, mut host) = host_with("echo broken >&2; exit 3");
    let built = host.build().await;
    assert_eq!(built.says("broken\n").why(), "failed to compile Odd app");
}

#[tokio::test]
async fn a_private_buildpack_stays_private() {
    let (dir, mut host) = host_with("echo never");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    host.build().await.says("not readable by all users of this machine").why();
    host.config.local_buildpacks = vec![dir.path().to_owned()];
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    host.build().await.says("never").slug_made();
}

#[tokio::test]
async fn a_buildpack_of_the_machine_is_for_administrators() {
    let (dir, mut host) = host_with("echo never");
    host.request.may_use_host = false;
    host.build().await.says("which only administrators can use").why();
    // Nor does the error reveal whether a folder exists.
    host.request.buildpacks = vec!["file:///root/not-there".into()];
    host.build().await.says("which only administrators can use").why();
    host.request.buildpacks = vec![format!("file://{}", dir.path().display())];
    host.config.local_buildpacks = vec![dir.path().to_owned()];
    host.build().await.says("never").slug_made();
}

#[tokio::test]
async fn a_cancelled_build_stops() {
    let (_dir, mut host) =
        host_with("trap 'echo asked to stop; exit 1' TERM; touch $2/begun; while :; do sleep 0.1; done");
    let (cancel, caches) = (host.cancel.clone(), host.caches());
    let watch = tokio::spawn(async move {
        wait_for("begun", caches).await;
        cancel.cancel();
    });
    let built = host.build().await;
    watch.await.unwrap();
    built.says("asked to stop");
    assert!(matches!(built.result, Err(Error::Cancelled)), "{:?}", built.result);
}

#[tokio::test]
async fn a_build_that_takes_too_long() {
    let (_dir, mut host) = host_with("echo begun; trap '' TERM; sleep 1000");
    host.config.time_limit = Duration::from_secs(3);
    let built = host.build().await;
    assert_eq!(built.says("took longer than 1 minutes").why(), "the build took too long");
}

#[tokio::test]
async fn a_build_after_a_crash_of_the_platform() {
    let (_dir, host) = host_with("[ ! -e half ] || echo again; touch half $2/begun; sleep 2; touch whole");
    tokio::select! {
        // As if the platform died in the middle: from here on this is not polled.
        built = host.build_again() => panic!("it ended too early for this test: {}", built.output),
        () = wait_for("begun", host.caches()) => {}
    }
    let built = host.build_again().await;
    assert!(!built.output.contains("again"), "{}", built.output);
    let files = host.unpack(&built.slug()).await;
    assert!(files.join("whole").exists());
}

/// Waits for a file in one of the directories.
async fn wait_for(name: &str, places: impl Fn() -> Vec<PathBuf>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !places().iter().any(|place| place.join(name).exists()) {
        assert!(Instant::now() < deadline, "{name} does not appear");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_slug_that_is_too_large() {
    let (_dir, mut host) = host_with("head -c 3000000 /dev/urandom > big");
    host.config.slug_limit = 2 << 20;
    let built = host.build().await;
    assert_eq!(built.says("Exclude files with .slugignore").why(), "the slug is larger than 2 MB compressed");
}

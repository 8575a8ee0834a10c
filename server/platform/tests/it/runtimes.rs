//! Runtimes come from the operator's npm registry: once, and only if they are what it published.

use std::{
    collections::BTreeMap,
    fs::{self, File, FileTimes},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::get,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use builder::{Runtime, Supply};
use serde_json::json;
use sha2::{Digest as _, Sha512};

use crate::world::World;

/// A registry with some versions of npm.
#[derive(Clone, Default)]
struct Registry {
    /// The requests so far, by path.
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
    is_down: Arc<Mutex<bool>>,
}

/// A package as the registry has it.
fn package() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in [("package/package.json", "{}"), ("package/bin/npm-cli.js", "run()")] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

impl Registry {
    fn count(&self, path: &str) -> StatusCode {
        *self.asked.lock().unwrap().entry(path.to_owned()).or_default() += 1;
        if *self.is_down.lock().unwrap() { StatusCode::BAD_GATEWAY } else { StatusCode::OK }
    }

    fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().get(path).copied().unwrap_or_default()
    }

    /// Its URL, once it is served. Version 9.9.9 is not what its checksum says.
    async fn serve(&self) -> String {
        let (list, tarball) = (self.clone(), self.clone());
        let document = async move |headers: HeaderMap| {
            let host = headers["host"].to_str().unwrap().to_owned();
            let version = |checksum: &[u8]| {
                let integrity = format!("sha512-{}", BASE64_STANDARD.encode(Sha512::digest(checksum)));
                json!({ "dist": { "tarball": format!("http://{host}/npm.tgz"), "integrity": integrity } })
            };
            let versions = json!({ "10.9.0": version(&package()), "9.9.9": version(b"another file") });
            (list.count("/npm"), Json(json!({ "name": "npm", "versions": versions }))).into_response()
        };
        let content = async move || (tarball.count("/npm.tgz"), package()).into_response();
        let routes = Router::new().route("/npm", get(document)).route("/npm.tgz", get(content));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }
}

async fn world() -> (World, Registry, Arc<dyn Supply>) {
    let registry = Registry::default();
    let t = World::start().await.with_npm_registry(registry.serve().await).await;
    let supply = builds::testing::supplier(t.builds());
    (t, registry, supply)
}

fn why<T>(outcome: Result<T, builder::Error>) -> String {
    match outcome {
        Err(builder::Error::Failed { why }) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it did not fail"),
    }
}

/// What is unfinished.
fn unfinished(t: &World) -> Vec<PathBuf> {
    fs::read_dir(t.data().join("runtimes/aside")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn a_runtime_is_downloaded_once_for_all_builds() {
    let (t, registry, supply) = world().await;
    assert!(supply.versions(Runtime::Npm).await.unwrap());
    assert_eq!(fs::read_to_string(supply.installed().versions(Runtime::Npm)).unwrap(), r#"["10.9.0","9.9.9"]"#);
    let provide = || supply.provide(Runtime::Npm, "10.9.0");
    let (first, second) = tokio::join!(provide(), provide());
    first.unwrap();
    second.unwrap();
    let folder = supply.installed().folder(Runtime::Npm, "10.9.0");
    assert_eq!(fs::read_to_string(folder.join("bin/npm-cli.js")).unwrap(), "run()");
    provide().await.unwrap();
    // Another process of the server finds it.
    let t = t.again().await;
    builds::testing::supplier(t.builds()).provide(Runtime::Npm, "10.9.0").await.unwrap();
    assert_eq!((registry.asked("/npm"), registry.asked("/npm.tgz")), (1, 1));
    assert_eq!(unfinished(&t), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn what_the_registry_did_not_publish_is_not_installed() {
    let (t, registry, supply) = world().await;
    let wrong = why(supply.provide(Runtime::Npm, "9.9.9").await);
    assert_eq!(wrong, "the download does not match the checksum of the registry");
    let missing = why(supply.provide(Runtime::Npm, "10.9.1").await);
    assert_eq!(missing, "there is no such version in the npm registry");
    assert_eq!((registry.asked("/npm"), registry.asked("/npm.tgz")), (1, 1));
    assert_eq!(supply.installed().folders().unwrap(), [] as [PathBuf; 0]);
    assert_eq!(unfinished(&t), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn an_old_list_is_better_than_none() {
    let (t, registry, supply) = world().await;
    *registry.is_down.lock().unwrap() = true;
    let none = why(supply.versions(Runtime::Npm).await);
    assert_eq!(none, "127.0.0.1 responded with 502 Bad Gateway");
    *registry.is_down.lock().unwrap() = false;
    assert!(supply.versions(Runtime::Npm).await.unwrap());
    *registry.is_down.lock().unwrap() = true;
    assert!(supply.versions(Runtime::Npm).await.unwrap(), "it is current");
    let list = File::options().write(true).open(t.data().join("runtimes/private/npm.json")).unwrap();
    list.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH)).unwrap();
    t.expects("could not update the versions of npm");
    assert!(!supply.versions(Runtime::Npm).await.unwrap());
    assert!(supply.installed().versions(Runtime::Npm).exists());
}

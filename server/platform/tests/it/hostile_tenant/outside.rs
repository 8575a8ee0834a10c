//! Attempts to make the platform send requests to hosts that only it can reach.
//!
//! In these tests, 127.0.0.1 is an allowed address; 127.0.0.2 stands for all others.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Json, Router, response::Redirect, routing::get};
use serde_json::{Value, json};

use crate::world::{World, until};

/// A server at an address of this machine. Returns its URL, and the number of its requests.
async fn serve(ip: &str, routes: Router) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::<AtomicUsize>::default();
    let counted = asked.clone();
    let routes = routes.layer(axum::middleware::map_request(move |request: axum::extract::Request| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::ready(request)
    }));
    let listener = tokio::net::TcpListener::bind((ip, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, asked)
}

async fn inside() -> (String, Arc<AtomicUsize>) {
    serve("127.0.0.2", Router::new().fallback(async || "secret")).await
}

/// Builds `dusk` from there. Returns the build's number.
async fn build(t: &World, url: &str) -> String {
    let made = t.owner.post("/apps/dusk/builds", json!({ "source_blob": { "url": url } })).await.json();
    made["id"].as_str().unwrap().to_owned()
}

async fn failed(t: &World, number: &str) -> Value {
    until("the build has ended", async || {
        let now = t.owner.get(&format!("/apps/dusk/builds/{number}")).await.json();
        if now["status"] == "pending" { Err(now.to_string()) } else { Ok(now) }
    })
    .await
}

/// The process that writes a download of this world, which is neither one of its parents nor this one.
fn downloader(t: &World) -> Option<i32> {
    let data = t.data();
    let writes = |pid: &i32| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut paths = open.filter_map(|fd| std::fs::read_link(fd.path()).ok());
        paths.any(|path| path.starts_with(&data) && path.extension().is_some_and(|e| e == "download"))
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let mut pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid| {
        let owner = std::fs::metadata(format!("/proc/{pid}")).map(|found| std::os::unix::fs::MetadataExt::uid(&found));
        owner.is_ok_and(|uid| uid == t.downloads()) && writes(pid)
    })
}

#[tokio::test]
async fn a_source_that_kills_its_reader_fails_its_own_build() {
    let t = World::start().await;
    t.app("dusk").await;
    let endless = || {
        let parts = futures::stream::once(async { Ok::<_, std::io::Error>("part") });
        axum::body::Body::from_stream(futures::StreamExt::chain(parts, futures::stream::pending()))
    };
    let (outside, _) = serve("127.0.0.1", Router::new().route("/a.tgz", get(async move || endless()))).await;
    let number = build(&t, &format!("{outside}/a.tgz")).await;
    let pid = until("it is fetched", async || downloader(&t).ok_or_else(|| "nobody".to_owned())).await;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    let failed = failed(&t, &number).await;
    let why = "the source could not be fetched: the process that fetched it failed (it was killed by signal 9)";
    assert_eq!((&failed["status"], &failed["error"]), (&json!("failed"), &json!(why)));
    assert!(!t.leftovers().iter().any(|left| left.contains("download")), "{:?}", t.leftovers());
}

#[tokio::test]
async fn a_build_is_cancelled_while_its_source_is_fetched() {
    let t = World::start().await;
    t.app("dusk").await;
    let never = || axum::body::Body::from_stream(futures::stream::pending::<std::io::Result<axum::body::Bytes>>());
    let (outside, _) = serve("127.0.0.1", Router::new().route("/a.tgz", get(async move || never()))).await;
    let build = build(&t, &format!("{outside}/a.tgz")).await;
    until("it is fetched", async || downloader(&t).ok_or_else(|| "nobody".to_owned())).await;
    assert_eq!(t.owner.delete(&format!("/apps/dusk/builds/{build}")).await.status, 200);
    assert_eq!(failed(&t, &build).await["error"], "Build cancelled");
    until("nothing of it is left", async || match (downloader(&t), t.leftovers()) {
        (None, left) if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    })
    .await;
}

#[tokio::test]
async fn a_source_that_redirects_inside_is_not_fetched() {
    let t = World::start().await;
    t.app("dusk").await;
    let (inside, asked) = inside().await;
    let to = inside.clone();
    let outside = Router::new()
        .route("/a.tgz", get(async move || Redirect::to(&format!("{to}/a.tgz"))))
        .route("/twice.tgz", get(async || Redirect::to("/a.tgz")));
    let (outside, _) = serve("127.0.0.1", outside).await;
    for path in ["a.tgz", "twice.tgz"] {
        let failed = failed(&t, &build(&t, &format!("{outside}/{path}")).await).await;
        let why = "the source could not be fetched: 127.0.0.2 (the target of a redirect) is a loopback address";
        assert!(failed["error"].as_str().unwrap_or_default().starts_with(why), "{failed}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_source_that_is_plainly_inside_is_refused_at_once() {
    let t = World::start().await;
    t.app("dusk").await;
    for url in [
        "http://169.254.169.254/latest/meta-data/",
        "http://0x7f.0.0.2/",
        "http://[::ffff:10.0.0.1]/a.tgz",
        "http://127.0.0.1:5432/",
        "file:///etc/passwd",
        "ftp://example.com/a.tgz",
    ] {
        let refused = t.owner.post("/apps/dusk/builds", json!({ "source_blob": { "url": url } })).await;
        assert_eq!(refused.status, 422, "{url}: {refused:?}");
    }
    assert_eq!(t.owner.build_list("dusk").await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_provider_does_not_send_the_platform_inside() {
    let t = World::start().await;
    let (inside, asked) = inside().await;
    for key in ["jwks_uri", "redirected"] {
        let to = inside.clone();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut told: Value = json!({
            "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/jwks"), "response_types_supported": ["code"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["EdDSA"],
        });
        told[key] = json!(format!("{to}/jwks"));
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(async move || Json(told)))
            .route("/jwks", get(async move || Redirect::to(&format!("{to}/jwks"))));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let create = json!({
            "kind": "openid", "name": "acme", "issuer": url, "client_id": "wharf", "client_secret": "hush",
        });
        let refused = t.owner.post("/identity-providers", create).await;
        assert_eq!(refused.status, 422, "{refused:?}");
    }
    let create = json!({
        "kind": "openid", "name": "acme", "issuer": "https://169.254.169.254", "client_id": "wharf", "client_secret": "hush",
    });
    let refused = t.owner.post("/identity-providers", create).await;
    assert!(refused.text().contains("link-local address"), "{refused:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

//! What they try to reach by the platform's hands: hosts that it can ask, and they cannot.
//!
//! The world of these tests may ask 127.0.0.1; 127.0.0.2 stands for everything that it may not.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Json, Router, response::Redirect, routing::get};
use serde_json::{Value, json};

use crate::world::{World, until};

/// A server at an address of this machine. Its own address, and how often it was asked.
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
        let body = json!({ "source_blob": { "url": format!("{outside}/{path}") } });
        let made = t.owner.post("/apps/dusk/builds", body).await.json();
        let number = made["id"].as_str().unwrap().to_owned();
        let failed = until("the build has ended", async || {
            let now = t.owner.get(&format!("/apps/dusk/builds/{number}")).await.json();
            if now["status"] == "pending" { Err(now.to_string()) } else { Ok(now) }
        })
        .await;
        let why = "the source cannot be fetched: 127.0.0.2 (where a redirect leads) is a loopback address";
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

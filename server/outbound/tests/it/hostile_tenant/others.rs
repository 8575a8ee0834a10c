//! Obtaining what one user sends to another.

use crate::servers::{LIMITS, Server, client, ok, redirect};

fn asked_with_a_token(url: &str) -> http::Request<Vec<u8>> {
    let request = http::Request::get(url).header("authorization", "Bearer hush").header("cookie", "a=hush");
    request.header("x-token", "hush").header("accept", "application/json").body(Vec::new()).unwrap()
}

#[tokio::test]
async fn a_redirect_elsewhere_takes_no_credentials_along() {
    let elsewhere = Server::allowed(ok("")).await;
    let first = Server::allowed(redirect(&elsewhere.url())).await;
    client().send(asked_with_a_token(&first.url()), &LIMITS).await.unwrap();
    assert!(first.asked()[0].contains("Bearer hush"), "{:?}", first.asked());
    let asked = &elsewhere.asked()[0];
    assert!(!asked.contains("hush") && asked.contains("application/json"), "{asked}");
}

#[tokio::test]
async fn a_redirect_to_the_same_server_keeps_them() {
    let server = Server::allowed(redirect("/next")).await;
    let url = format!("http://me:hush@{}/", server.address);
    let _ = client().download(&url, None, &mut Vec::new(), &LIMITS).await;
    // "me:hush", as HTTP Basic has it.
    assert!(server.asked().iter().all(|asked| asked.contains("Basic bWU6aHVzaA==")), "{:?}", server.asked());
    assert!(server.asked().len() > 1);
}

#[tokio::test]
async fn passwords_of_an_address_are_for_its_host_alone() {
    let elsewhere = Server::allowed(ok("")).await;
    let first = Server::allowed(redirect(&format!("http://you:word@{}/", elsewhere.address))).await;
    client().download(&format!("http://me:hush@{}/", first.address), None, &mut Vec::new(), &LIMITS).await.unwrap();
    assert!(!elsewhere.asked()[0].to_lowercase().contains("authorization"), "{:?}", elsewhere.asked());
}

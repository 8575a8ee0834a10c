//! Responses of well-behaved servers.

use crate::servers::{LIMITS, Server, client, client_where_names_lead_to, download, ok, redirect};

#[tokio::test]
async fn what_is_at_an_address_is_fetched() {
    let server = Server::allowed(ok("hello")).await;
    assert_eq!(download(&client(), &server.url()).await.unwrap(), "hello");
    let by_name = format!("http://files.example:{}/a?b=c", server.address.port());
    assert_eq!(download(&client_where_names_lead_to(&["127.0.0.1"]), &by_name).await.unwrap(), "hello");
    assert!(server.asked()[1].starts_with("GET /a?b=c HTTP/1.1\r\n"), "{:?}", server.asked());
}

#[tokio::test]
async fn redirects_are_followed_so_far() {
    let end = Server::allowed(ok("the end")).await;
    let middle = Server::allowed(redirect(&end.url())).await;
    assert_eq!(download(&client(), &middle.url()).await.unwrap(), "the end");
    let round = Server::allowed(redirect("/again")).await;
    let err = download(&client(), &round.url()).await.unwrap_err();
    assert_eq!(err.to_string(), "127.0.0.1 redirects too often");
    assert_eq!(round.asked().len(), 6);
}

#[tokio::test]
async fn what_is_sent_goes_to_one_server_only() {
    let end = Server::allowed(ok("")).await;
    let first = Server::allowed(redirect(&end.url())).await;
    let request = http::Request::post(first.url()).body(b"secret".to_vec()).unwrap();
    let answer = client().send(request, &LIMITS).await.unwrap();
    assert_eq!((answer.status().as_u16(), end.asked().len()), (302, 0));
}

#[tokio::test]
async fn errors_are_specific_and_contain_no_secrets() {
    let missing = Server::allowed("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    let url = format!("http://me:hush@127.0.0.1:{}/path?token=hush", missing.address.port());
    let err = download(&client(), &url).await.unwrap_err();
    assert_eq!(err.to_string(), "127.0.0.1 responded with 404 Not Found");
    let odd = Server::allowed("SSH-2.0-OpenSSH_9.2\r\n").await;
    let url = format!("http://me:hush@127.0.0.1:{}/path?token=hush", odd.address.port());
    let err = download(&client(), &url).await.unwrap_err();
    assert_eq!(err.to_string(), "127.0.0.1 did not send a valid HTTP response");
    let nobody = client_where_names_lead_to(&[]);
    let err = download(&nobody, "https://me:hush@nobody.example/").await.unwrap_err();
    assert_eq!(err.to_string(), "there is no host nobody.example");
}

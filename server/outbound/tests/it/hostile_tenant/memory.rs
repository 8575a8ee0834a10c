//! Exhausting the caller's memory, disk and time.

use std::{io::Write as _, time::Duration};

use outbound::{Error, Limits};

use crate::servers::{LIMITS, Server, client, download, ok};

fn zipped(bytes: usize) -> Vec<u8> {
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    zip.write_all(&vec![0; bytes]).unwrap();
    zip.finish().unwrap()
}

#[tokio::test]
async fn nothing_is_unpacked_on_the_way() {
    let bomb = zipped(8 << 20);
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len()).into_bytes();
    answer.extend_from_slice(&bomb);
    let server = Server::allowed(answer).await;
    let mut into = Vec::new();
    client().download(&server.url(), None, &mut into, &LIMITS).await.unwrap();
    assert_eq!(into, bomb);
    assert!(server.asked()[0].to_lowercase().contains("accept-encoding: identity"), "{:?}", server.asked());
}

#[tokio::test]
async fn an_answer_ends_where_it_may_not_be_larger() {
    let limits = Limits { bytes: 1000, ..LIMITS };
    let promised = "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n".to_owned();
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(5000));
    let chunks = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        "1f4\r\n".to_owned() + &"x".repeat(500) + "\r\n"
    );
    let chunks = chunks.clone() + &chunks[chunks.find("1f4").unwrap()..].repeat(3);
    for answer in [promised, endless, chunks] {
        let server = Server::allowed(answer).await;
        let mut into = Vec::new();
        let err = client().download(&server.url(), None, &mut into, &limits).await.unwrap_err();
        assert!(matches!(err, Error::Large { most: 1000, .. }), "{err}");
        assert!(into.len() <= 1000, "{}", into.len());
    }
}

#[tokio::test]
async fn headers_have_an_end() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(5000));
    let long = format!("HTTP/1.1 200 OK\r\na: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(100_000));
    for answer in [many, long] {
        let server = Server::allowed(answer).await;
        let err = download(&client(), &server.url()).await.unwrap_err();
        assert!(matches!(err, Error::Large { .. } | Error::Unreachable { .. }), "{err}");
    }
}

#[tokio::test]
async fn silent_clients_are_disconnected() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    for limits in
        [Limits { idle: Duration::from_millis(50), ..LIMITS }, Limits { time: Duration::from_millis(50), ..LIMITS }]
    {
        let err = client().download(&url, None, &mut Vec::new(), &limits).await.unwrap_err();
        assert_eq!(err.to_string(), "127.0.0.1 took too long to respond");
    }
}

#[tokio::test]
async fn who_stops_in_the_middle_is_an_error_not_the_end() {
    let server = Server::allowed("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
    let err = download(&client(), &server.url()).await.unwrap_err();
    assert_eq!(err.to_string(), "127.0.0.1 closed the connection in the middle of its response");
    let server = Server::allowed(ok("whole")).await;
    assert_eq!(download(&client(), &server.url()).await.unwrap(), "whole");
}

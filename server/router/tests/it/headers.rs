//! Headers of requests and responses.

use router::AppState::Up;

use crate::support::*;

/// The request with these header lines as received by a dyno.
async fn seen(lines: &str) -> String {
    let dyno = Dyno::answering(|head, _| ok(head)).await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client.send(&format!("GET / HTTP/1.1\r\nHost: Shop.apps.test:5000\r\n{lines}\r\n")).await;
    client.answer().await.body
}

#[tokio::test]
async fn a_dyno_learns_the_client_and_its_scheme() {
    let head = seen("").await;
    assert_eq!(header(&head, "host"), Some("Shop.apps.test:5000"));
    assert_eq!(header(&head, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(header(&head, "x-forwarded-proto"), Some("http"));
    assert_eq!(header(&head, "via"), Some("1.1 wharf-router"));
    assert_eq!(header(&head, "x-request-id").unwrap().len(), 36);
    assert!(header(&head, "x-forwarded-port").unwrap().parse::<u16>().is_ok());
    let start: u64 = header(&head, "x-request-start").unwrap().parse().unwrap();
    assert!(start > 1_500_000_000_000);
    assert_eq!(header(&head, "connection"), None);
}

#[tokio::test]
async fn claims_of_the_client_are_kept_or_replaced() {
    let head = seen(
        "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: gopher\r\nX-Request-Id: abcdefghijklmnopqrst\r\n\
         Via: 1.0 other\r\nX-Request-Start: 1\r\n",
    )
    .await;
    assert_eq!(header(&head, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(header(&head, "x-forwarded-proto"), Some("http"));
    assert_eq!(header(&head, "x-request-id"), Some("abcdefghijklmnopqrst"));
    assert_eq!(header(&head, "via"), Some("1.0 other, 1.1 wharf-router"));
    assert_ne!(header(&head, "x-request-start"), Some("1"));
    let head = seen("X-Request-Id: short\r\n").await;
    assert_ne!(header(&head, "x-request-id"), Some("short"));
}

#[tokio::test]
async fn hop_by_hop_headers_end_here_in_both_directions() {
    let head = seen(
        "Connection: keep-alive, X-Secret\r\nKeep-Alive: timeout=9\r\nX-Secret: 1\r\nTE: trailers\r\nX-Kept: 1\r\n",
    )
    .await;
    for gone in ["connection", "keep-alive", "x-secret", "te"] {
        assert_eq!(header(&head, gone), None, "{gone}");
    }
    assert_eq!(header(&head, "x-kept"), Some("1"));

    let dyno = Dyno::answering(|_, _| {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x-mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
         Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nhi"
            .to_owned()
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let answer = world.get("/").await;
    assert_eq!(answer.header("x-mine"), None);
    assert_eq!(answer.header("keep-alive"), None);
    assert_eq!(answer.header("via"), Some("1.1 wharf-router"));
    assert_eq!(answer.head.matches("set-cookie").count(), 2);
}

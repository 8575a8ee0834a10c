//! Requests that claim another client's identity.

use router::AppState::Up;
use router::Config;
use tokio::net::UnixListener;

use crate::support::*;

const CLAIMS: &str = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\n\
     X-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /x\r\nForwarded: for=6.6.6.6;proto=https\r\nX-Real-IP: 6.6.6.6\r\n\
     True-Client-IP: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded_For: 6.6.6.6\r\nX-Wharf-Push: secret\r\n\
     X-Original-URL: /admin\r\nX-Request-Start: 1\r\n";

/// The request with these lines as received by the backend.
async fn seen(host: &str, lines: &str, tell: impl FnOnce(&mut Config)) -> String {
    let dyno = Dyno::answering(|head, _| ok(head)).await;
    let world = World::configured(tell).await;
    world.shop(Up, &[dyno.addr]).await;
    let server = UnixListener::bind(world.dir.path().join("run/server.sock")).unwrap();
    tokio::spawn(async move {
        let mut conn = Conn::new(server.accept().await.unwrap().0);
        while let Some(head) = conn.head().await {
            conn.send(&ok(&head)).await;
        }
    });
    let mut client = world.client().await;
    client.send(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

#[tokio::test]
async fn claims_of_untrusted_clients_are_removed() {
    for host in ["shop.apps.test", "wharf.test"] {
        let head = seen(host, CLAIMS, |_| ()).await;
        let lower = head.to_ascii_lowercase();
        for gone in ["6.6.6.6", "evil", "prefix", "forwarded:", "x-wharf", "x_", "_for", "original", "https", "real"] {
            assert!(!lower.contains(gone), "{gone} in {head}");
        }
        assert_eq!(header(&head, "x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(lower.matches("x-forwarded-for").count(), 1);
    }
}

/// A proxy on the same machine is untrusted until the operator lists it, like the apps.
#[tokio::test]
async fn the_loopback_is_not_trusted_by_itself() {
    let head = seen("wharf.test", CLAIMS, |config| config.tls = true).await;
    assert_eq!(header(&head, "x-forwarded-for"), Some("127.0.0.1"));
}

#[tokio::test]
async fn claims_through_a_trusted_proxy_are_still_the_clients() {
    let trust = |config: &mut Config| config.trusted = "127.0.0.1".parse().unwrap();
    for lines in [
        "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nForwarded: for=6.6.6.6\r\n",
        "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.1\r\n",
        "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nConnection: close, X-Forwarded-For\r\n",
        "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nX_Forwarded_For: 6.6.6.6\r\n",
    ] {
        for host in ["shop.apps.test", "wharf.test"] {
            let head = seen(host, lines, trust).await;
            assert_eq!(header(&head, "x-forwarded-for"), Some("192.0.2.1"), "{lines}");
            assert!(!head.replace("forwarded: for=6.6.6.6", "").contains("6.6.6.6"), "{head}");
        }
    }
    // Only Wharf's own processes send this, whichever proxy is in front.
    assert!(!seen("wharf.test", "X-Wharf-Push: x\r\n", trust).await.contains("x-wharf"));
}

/// A PROXY header of an untrusted peer is invalid HTTP.
#[tokio::test]
async fn a_stranger_cannot_introduce_anybody() {
    let world = World::configured(|config| {
        config.proxy_protocol = true;
        config.trusted = "192.0.2.1".parse().unwrap();
    })
    .await;
    let said = world.say(b"PROXY TCP4 6.6.6.6 10.0.0.1 4711 80\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 400"), "{said}");
}

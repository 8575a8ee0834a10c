//! Responses of an app that would affect other visitors, other apps, or the console.

use std::time::Duration;

use router::AppState::Up;
use router::Timeouts;

use crate::support::*;

/// The bytes that a visitor gets from an app with this response, up to the end of the connection.
async fn answer_of(bytes: String, request: &str) -> String {
    let bytes = std::sync::Arc::new(bytes);
    let dyno = Dyno::script(move |mut conn, _| {
        let bytes = bytes.clone();
        async move {
            conn.head().await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut conn.stream, bytes.as_bytes()).await;
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut conn.stream).await;
            while conn.more().await {}
        }
    })
    .await;
    let world = World::with(Timeouts { first_byte: Duration::from_millis(500), ..patient() }).await;
    world.shop(Up, &[dyno.addr]).await;
    world.say(request.as_bytes()).await
}

async fn head_of(bytes: impl Into<String>) -> String {
    let said = answer_of(bytes.into(), &get("/")).await;
    said.split("\r\n\r\n").next().unwrap().to_ascii_lowercase()
}

#[tokio::test]
async fn answers_that_can_be_read_in_two_ways_do_not_arrive() {
    let two_lengths = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\nhi";
    let negative = "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi";
    let folded = "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nhi";
    let nul = "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nhi";
    let bare = "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b=c\r\nContent-Length: 2\r\n\r\nhi";
    let spaced = "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi";
    let nothing = "hello\r\n\r\n";
    for bad in [two_lengths, negative, folded, nul, bare, spaced, nothing] {
        let head = head_of(bad).await;
        assert!(head.starts_with("http/1.1 503"), "{bad:?} became {head}");
    }
}

#[tokio::test]
async fn a_length_is_stated_once() {
    for length in ["Content-Length: 2\r\nContent-Length: 2\r\n", "Content-Length: 2, 2\r\n", "Content-Length: 02\r\n"] {
        let head = head_of(format!("HTTP/1.1 200 OK\r\n{length}\r\nhi")).await;
        assert_eq!(head.matches("content-length: 2").count(), 1, "{head}");
        assert_eq!(head.matches("content-length").count(), 1, "{head}");
    }
    let both = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let said = answer_of(both.to_owned(), &get("/")).await.to_ascii_lowercase();
    assert!(!said.contains("content-length") && said.ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "{said}");
}

/// Data after a complete response does not belong to any response.
#[tokio::test]
async fn an_unrequested_response_is_not_sent_to_the_next_visitor() {
    let planted = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted";
    for first in [
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi{planted}"),
        format!("HTTP/1.1 204 No Content\r\n\r\n{planted}"),
        format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n{planted}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{planted}"),
    ] {
        for method in ["GET", "HEAD"] {
            let planted = first.clone();
            let dyno = Dyno::script(move |mut conn, n| {
                let first = planted.clone();
                async move {
                    while conn.head().await.is_some() {
                        conn.send(if n == 0 { &first } else { "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood" })
                            .await;
                    }
                }
            })
            .await;
            let world = World::start().await;
            world.shop(Up, &[dyno.addr]).await;
            let mut client = world.client().await;
            client.send(&format!("{method} /first HTTP/1.1\r\nHost: shop.apps.test\r\n\r\n")).await;
            let head = client.head().await.unwrap();
            if method == "GET" && head.starts_with("HTTP/1.1 200") {
                client.body(&head).await;
            }
            for _ in 0..3 {
                let answer = world.get("/second").await;
                assert_eq!(answer.body, "good", "{method}: {first:?}");
            }
        }
    }
}

#[tokio::test]
async fn endless_answers_end() {
    let continues = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(20_000);
    assert!(head_of(continues).await.starts_with("http/1.1 503"));
    let headers = format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(400_000));
    assert!(head_of(headers).await.starts_with("http/1.1 50"));
    let line = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(3_000_000));
    assert!(head_of(line).await.starts_with("http/1.1 502"));
}

#[tokio::test]
async fn no_unrequested_change_of_protocol() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nraw bytes";
    assert!(head_of(switch).await.starts_with("http/1.1 503"));
    let asks = |protocol: &str, more: &str| {
        format!("GET / HTTP/1.1\r\nHost: shop.apps.test\r\nConnection: upgrade{more}\r\nUpgrade: {protocol}\r\n\r\n")
    };
    // A different protocol than the requested one.
    let said = answer_of(switch.to_owned(), &asks("other/1", "")).await;
    assert!(said.starts_with("HTTP/1.1 503") && !said.contains("raw bytes"), "{said}");
    // HTTP in HTTP: the app does not even get the request.
    for protocol in ["h2c", "websocket, h2c", "HTTP/2.0"] {
        let dyno = Recorder::new("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
        let world = World::start().await;
        world.shop(Up, &[dyno.addr]).await;
        world.say((asks(protocol, ", HTTP2-Settings") + "GET /x HTTP/1.1\r\n").as_bytes()).await;
        assert_eq!(dyno.plain(), "GET / HTTP/1.1|host: shop.apps.test||", "{protocol}");
    }
}

#[tokio::test]
async fn an_upgrade_that_is_declined_leaves_an_ordinary_connection() {
    let dyno = Recorder::new("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let upgrade = "GET /live HTTP/1.1\r\nHost: shop.apps.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let said = world.say(format!("{upgrade}GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n").as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 200 OK") && said.contains("There is no app at nowhere.test"), "{said}");
    assert_eq!(dyno.heard().matches("GET ").count(), 1, "{}", dyno.heard());
}

#[tokio::test]
async fn an_app_says_nothing_to_browsers_about_others() {
    let head = head_of(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=b; Domain=apps.test; Path=/\r\nSet-Cookie: c=d; Path=/\r\n\
         Set-Cookie: e=f; domain=.Wharf.test\r\nAlt-Svc: h3=\":443\"\r\nClear-Site-Data: \"cookies\"\r\n\r\n",
    )
    .await;
    let cookies: Vec<&str> = head.lines().filter(|line| line.starts_with("set-cookie")).collect();
    assert_eq!(cookies, ["set-cookie: a=b; path=/", "set-cookie: c=d; path=/", "set-cookie: e=f"]);
    assert!(!head.contains("alt-svc") && !head.contains("clear-site-data"), "{head}");
}

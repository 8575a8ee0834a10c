//! Requests that two programs would interpret differently.

use router::AppState::Up;

use crate::support::*;

const HOST: &str = "Host: shop.apps.test\r\n";

/// The response to these bytes, and the bytes that the app received.
async fn exchange(bytes: &[u8]) -> (String, String) {
    let dyno = Recorder::new("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let said = world.say(bytes).await;
    (said, dyno.plain())
}

/// Rejected once with one of these statuses, and the connection closed; the app received nothing.
async fn refused(request: impl AsRef<[u8]>, statuses: &[u16]) {
    let request = request.as_ref();
    // A second request, if the first one were interpreted differently.
    let bytes = [request, b"GET /smuggled HTTP/1.1\r\nHost: shop.apps.test\r\n\r\n"].concat();
    let (said, heard) = exchange(&bytes).await;
    let shown = request.escape_ascii();
    let status = said.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    assert!(statuses.contains(&status), "{shown}\nwas answered {said:?}");
    assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{shown}\nwas answered {said}");
    assert!(said.to_ascii_lowercase().contains("connection: close"), "{shown}\nwas answered {said}");
    assert_eq!(heard, "", "{shown}");
}

/// Forwarded as exactly this, once.
async fn passed(request: impl AsRef<[u8]>, expected: &str) {
    let request = request.as_ref();
    let (said, heard) = exchange(request).await;
    let shown = request.escape_ascii();
    assert_eq!(heard, expected, "{shown}\nwas answered {said}");
}

fn post(lines: &str, body: &str) -> String {
    format!("POST /a HTTP/1.1\r\n{HOST}{lines}\r\n{body}")
}

#[tokio::test]
async fn a_length_beside_chunks_is_not_believed_and_ends_the_connection() {
    let expected = "POST /a HTTP/1.1|host: shop.apps.test|transfer-encoding: chunked||3|abc|0||";
    for lines in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: x\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: CHUNKED\r\nContent-Length: 900\r\n",
    ] {
        // A second request on the connection is not read: a peer that uses the length may interpret it differently.
        let smuggled = format!("3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n{HOST}\r\n");
        passed(post(lines, &smuggled), expected).await;
    }
}

#[tokio::test]
async fn codings_other_than_chunked_alone_are_refused() {
    for coding in [
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding: chunked\0\r\n",
        "Transfer-Encoding: chun\rked\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n",
        "Transfer\0-Encoding: chunked\r\n",
        "[Transfer-Encoding: chunked\r\n",
    ] {
        refused(post(coding, "0\r\n\r\n"), &[400, 501]).await;
    }
    refused(format!("POST /a HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), &[400]).await;
    // Another name is another header, and one with an underscore does not arrive, where programs would
    // take it for the same.
    passed(post("Transfer_Encoding: chunked\r\n", ""), "POST /a HTTP/1.1|host: shop.apps.test||").await;
}

#[tokio::test]
async fn lengths_are_one_plain_number() {
    for length in [
        "Content-Length: +3\r\n",
        "Content-Length: -3\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: 3,4\r\n",
        "Content-Length: 3 4\r\n",
        "Content-Length: 3.0\r\n",
        "Content-Length: 3e0\r\n",
        "Content-Length: \r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3\r\nContent-Length: 03x\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 99999999999999999999999999\r\n",
        "Content-Length: 3\x0b\r\n",
        "Content-Length : 3\r\n",
        "Content-Length: 3\r\n 4\r\n",
        "Content-\tLength: 3\r\n",
    ] {
        refused(post(length, "abc"), &[400]).await;
    }
    let expected = "POST /a HTTP/1.1|content-length: 3|host: shop.apps.test||abc";
    for length in [
        "Content-Length: 3\r\n",
        "Content-Length:  3 \t\r\n",
        "Content-Length:3\r\n",
        "Content-Length: 003\r\n",
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nCONTENT-LENGTH: 03\r\n",
        "Content-Length: 3\r\nContent_Length: 900\r\n",
    ] {
        let (_, heard) = exchange(post(length, "abc").as_bytes()).await;
        assert_eq!(sorted(&heard), expected, "{length}");
    }
}

/// Headers sorted by name, since the position of hyper's length header varies.
fn sorted(heard: &str) -> String {
    let (head, body) = heard.split_once("||").unwrap_or((heard, ""));
    let mut lines: Vec<&str> = head.split('|').collect();
    lines[1..].sort_unstable();
    format!("{}||{body}", lines.join("|"))
}

#[tokio::test]
async fn chunks_are_strict() {
    let chunked = "Transfer-Encoding: chunked\r\n";
    for body in [
        "+3\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3xyz\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3;x\ny\r\nabc\r\n0\r\n\r\n",
        "g\r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "3\0\r\nabc\r\n0\r\n\r\n",
    ] {
        let (said, heard) =
            exchange(post(chunked, &format!("{body}GET /smuggled HTTP/1.1\r\n{HOST}\r\n")).as_bytes()).await;
        assert!(!heard.contains("smuggled") && !heard.contains("|0||"), "{body:?} became {heard:?}");
        assert_ne!(said.get(9..12), Some("200"), "{body:?} was answered {said}");
        assert!(said.matches("HTTP/1.1 ").count() <= 1, "{body:?} was answered {said}");
    }
    // Extensions and trailers end here.
    let expected = "POST /a HTTP/1.1|host: shop.apps.test|transfer-encoding: chunked||3|abc|0||";
    for body in [
        "3\r\nabc\r\n0\r\n\r\n",
        "003\r\nabc\r\n00\r\n\r\n",
        "3;x=\"y\"\r\nabc\r\n0;z\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nContent-Length: 5\r\n\r\n",
    ] {
        passed(post(chunked, body), expected).await;
    }
}

#[tokio::test]
async fn heads_are_strict() {
    for request in [
        format!("GET / HTTP/1.1\r\n{HOST}X: a\0b\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}X: a\rb\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}X Y: a\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}X : a\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}: a\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}X\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}X: a\r\n b\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n Y: a\r\n{HOST}\r\n"),
        format!("GET  / HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET / x HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET /\tHTTP/1.1\r\n{HOST}\r\n"),
        format!("GET /a\0b HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET / HTTP/1.2\r\n{HOST}\r\n"),
        format!("GET / HTTP/2.0\r\n{HOST}\r\n"),
        format!("GET / HTTP/01.1\r\n{HOST}\r\n"),
        format!("GET / http/1.1\r\n{HOST}\r\n"),
        format!("G\u{e9}T / HTTP/1.1\r\n{HOST}\r\n"),
        "GET /\r\n".to_owned(),
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03".to_owned(),
    ] {
        refused(&request, &[400]).await;
    }
}

/// A line may end without CR, as the standard allows, because it is rewritten with one.
#[tokio::test]
async fn line_ends_are_normalized() {
    let host = HOST.trim_end();
    for request in [
        format!("GET /a HTTP/1.1\n{host}\nX: y\n\n"),
        format!("GET /a HTTP/1.1\r\n{host}\nX: y\r\n\n"),
        format!("\r\n\r\nGET /a HTTP/1.1\r\n{HOST}X: y\r\n\r\n"),
    ] {
        passed(request, "GET /a HTTP/1.1|host: shop.apps.test|x: y||").await;
    }
}

#[tokio::test]
async fn the_preface_of_http_2_is_no_request() {
    let (said, heard) = exchange(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert_eq!((said.as_str(), heard.as_str()), ("", ""));
}

#[tokio::test]
async fn one_host_and_one_target() {
    for request in [
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\n{HOST}{HOST}\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}Host: wharf.test\r\n\r\n"),
        format!("GET http://shop.apps.test/ HTTP/1.1\r\n{HOST}{HOST}\r\n"),
        "GET / HTTP/1.1\r\nHost: user@shop.apps.test\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: shop.apps.test:80@evil.test\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: shop.apps.test:x\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: shop.apps.test:80:90\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: shop.apps.test, wharf.test\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: shop.apps.test/a\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: [::1]shop.apps.test\r\n\r\n".to_owned(),
        format!("GET http://user:x@shop.apps.test/ HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET ftp://shop.apps.test/ HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET shop.apps.test:80 HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET shop.apps.test HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET * HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET ?x HTTP/1.1\r\n{HOST}\r\n"),
    ] {
        refused(&request, &[400]).await;
    }
    let get = |path: &str, host: &str| format!("GET {path} HTTP/1.1|host: {host}||");
    passed("GET http://shop.apps.test/x HTTP/1.1\r\nHost: wharf.test\r\n\r\n", &get("/x", "shop.apps.test")).await;
    passed("GET http://shop.apps.test HTTP/1.1\r\nHost: wharf.test\r\n\r\n", &get("/", "shop.apps.test")).await;
    passed("GET http://shop.apps.test?x HTTP/1.1\r\nHost: a\r\n\r\n", &get("/?x", "shop.apps.test")).await;
    passed("GET //wharf.test/x HTTP/1.1\r\nHost: shop.apps.test\r\n\r\n", &get("//wharf.test/x", "shop.apps.test"))
        .await;
    passed("GET / HTTP/1.1\r\nHost: SHOP.apps.test.:81\r\n\r\n", &get("/", "SHOP.apps.test.:81")).await;
    passed("GET / HTTP/1.1\r\nHost: shop.apps.test\r\nX-Host: wharf.test\r\n\r\n", &get("/", "shop.apps.test")).await;
    passed("OPTIONS * HTTP/1.1\r\nHost: shop.apps.test\r\n\r\n", "OPTIONS * HTTP/1.1|host: shop.apps.test||").await;
    passed("GET /a#b HTTP/1.1\r\nHost: shop.apps.test\r\n\r\n", &get("/a", "shop.apps.test")).await;
}

#[tokio::test]
async fn methods_that_are_for_proxies_are_refused() {
    for method in ["CONNECT shop.apps.test:443", "CONNECT /", "TRACE /", "TRACK /", "track /"] {
        refused(format!("{method} HTTP/1.1\r\n{HOST}\r\n"), &[400, 405]).await;
    }
}

#[tokio::test]
async fn connection_takes_no_header_away_that_others_rely_on() {
    let (_, heard) = exchange(
        format!(
            "GET / HTTP/1.1\r\n{HOST}Cookie: a=b\r\nX-Mine: 1\r\nX-Request-Id: abcdefghijklmnopqrst\r\n\
             Connection: close, X-Forwarded-For, X-Request-Id\r\nConnection: Host, Cookie, X-Mine\r\n\r\n"
        )
        .as_bytes(),
    )
    .await;
    assert_eq!(heard, "GET / HTTP/1.1|host: shop.apps.test|cookie: a=b||");
}

#[tokio::test]
async fn a_refused_request_is_in_the_log_of_its_app() {
    let dyno = Dyno::saying("").await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    world.say(post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n").as_bytes()).await;
    let line = world.line().await;
    assert!(line.starts_with("at=error code=H26 desc=\"Request Error\" method=POST path=\"/a\""), "{line}");
    world.say(b"NONSENSE\r\n\r\n").await;
    world.say(b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n").await;
    assert_eq!(world.control.counters().await.unwrap().malformed, 2);
}

#[tokio::test]
async fn a_body_left_unread_by_an_early_response_is_not_a_request() {
    let dyno = Dyno::script(|mut conn, _| async move {
        conn.head().await;
        conn.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let inner = format!("GET /smuggled HTTP/1.1\r\n{HOST}\r\n");
    let mut client = world.client().await;
    client.send(&post(&format!("Content-Length: {}\r\n", inner.len() + 100_000), &inner)).await;
    assert_eq!(client.answer().await.status, 413);
    assert!(client.ended().await);
    assert_eq!(dyno.connections(), 1);
}

#[tokio::test]
async fn nothing_follows_a_request_of_http_1_0_that_did_not_ask_for_it() {
    let second = format!("GET /second HTTP/1.0\r\n{HOST}\r\n");
    let get = "GET /a HTTP/1.1|host: shop.apps.test||";
    passed(format!("GET /a HTTP/1.0\r\n{HOST}\r\n{second}"), get).await;
    let kept = format!("GET /a HTTP/1.0\r\n{HOST}Connection: keep-alive\r\n\r\n{second}");
    passed(kept, &format!("{get}GET /second HTTP/1.1|host: shop.apps.test||")).await;
}

#[tokio::test]
async fn expectations_other_than_100_continue_are_refused() {
    refused(post("Expect: 100-continue, x\r\nContent-Length: 3\r\n", "abc"), &[417]).await;
    refused(post("Expect: 200-ok\r\nContent-Length: 3\r\n", "abc"), &[417]).await;
}

#[tokio::test]
async fn thousands_of_requests_in_one_piece_are_answered_in_turn() {
    let dyno = Dyno::answering(|head, _| ok(head.split(' ').nth(1).unwrap())).await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let (mut read, mut write) = world.client().await.stream.into_split();
    let asked = tokio::spawn(async move {
        for n in 0..3000 {
            tokio::io::AsyncWriteExt::write_all(&mut write, get(&format!("/{n}")).as_bytes()).await.unwrap();
        }
        write
    });
    let mut all = String::new();
    while all.matches("HTTP/1.1 200").count() < 3000 || !all.ends_with("/2999") {
        let mut chunk = [0; 65536];
        let n = tokio::io::AsyncReadExt::read(&mut read, &mut chunk).await.unwrap();
        assert!(n > 0, "it ended early");
        all += std::str::from_utf8(&chunk[..n]).unwrap();
    }
    let paths: Vec<&str> = all.split("\r\n\r\n").skip(1).map(|rest| rest.split("HTTP").next().unwrap()).collect();
    assert!(paths.iter().enumerate().all(|(n, path)| *path == format!("/{n}")));
    drop(asked.await.unwrap());
}

/// hyper reads this much at first.
const FIRST_READ: usize = 8192;

#[tokio::test]
async fn a_body_that_follows_its_answer_is_not_taken_for_a_head() {
    let dyno = Dyno::saying("smuggled").await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    // If it were encoded like a target, it would be longer than declared by exactly its last request.
    let inner = format!("GET /smuggled HTTP/1.1\r\n{HOST}\r\n");
    assert!(inner.len().is_multiple_of(2));
    let body = format!("A {}{inner}", "<".repeat(inner.len() / 2));
    // The first read ends with the head, and a request for an unknown host is answered without its body.
    let start =
        format!("POST / HTTP/1.1\r\nHost: nobody.test\r\nExpect: 100-continue\r\nContent-Length: {}", body.len());
    let head = |fill: usize| format!("{start}\r\nX-Fill: {}\r\n\r\n", "x".repeat(fill));
    let head = head(FIRST_READ - head(0).len());
    let said = world.say((head + &body).as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 404 "), "{said}");
    assert_eq!((said.matches("HTTP/1.1 ").count(), dyno.connections()), (1, 0), "{said}");
}

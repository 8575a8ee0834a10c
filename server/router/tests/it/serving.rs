//! Successful requests.

use router::AppState::Up;
use tokio::io::AsyncWriteExt as _;

use crate::support::*;

#[tokio::test]
async fn a_request_reaches_the_app_and_its_answer_comes_back() {
    let dyno = Dyno::answering(|head, body| {
        let first = head.lines().next().unwrap();
        ok(&format!("{first} with {body:?}"))
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client.send("POST /a%20b?c=d HTTP/1.1\r\nHost: SHOP.apps.test.:5000\r\nContent-Length: 3\r\n\r\nabc").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, "POST /a%20b?c=d HTTP/1.1 with \"abc\"");
    client.send("GET http://www.shop.test/x HTTP/1.1\r\nHost: ignored.test\r\n\r\n").await;
    assert_eq!(client.answer().await.body, "GET /x HTTP/1.1 with \"\"");
}

#[tokio::test]
async fn connections_to_clients_and_dynos_are_kept() {
    let dyno = Dyno::saying("hello").await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    for _ in 0..3 {
        let mut client = world.client().await;
        for _ in 0..20 {
            client.send(&get("/")).await;
            assert_eq!(client.answer().await.body, "hello");
        }
    }
    assert_eq!(dyno.connections(), 1);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let dyno = Dyno::answering(|head, _| ok(head.split(' ').nth(1).unwrap())).await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client.send(&(get("/1") + &get("/2") + &get("/3"))).await;
    for path in ["/1", "/2", "/3"] {
        assert_eq!(client.answer().await.body, path);
    }
}

#[tokio::test]
async fn answers_without_a_body_keep_their_headers() {
    let dyno = Dyno::answering(|head, _| match head.split(' ').next().unwrap() {
        "HEAD" => "HTTP/1.1 200 Fine Indeed\r\nContent-Length: 1234\r\nEtag: x\r\n\r\n".to_owned(),
        "DELETE" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        _ => "HTTP/1.1 304 Not Modified\r\nEtag: y\r\n\r\n".to_owned(),
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client.send("HEAD / HTTP/1.1\r\nHost: shop.apps.test\r\n\r\n").await;
    let head = client.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 Fine Indeed\r\n"), "{head}");
    assert_eq!(header(&head, "content-length"), Some("1234"));
    client.send("DELETE / HTTP/1.1\r\nHost: shop.apps.test\r\n\r\n").await;
    let head = client.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 204"), "{head}");
    client.send(&get("/")).await;
    let head = client.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 304"), "{head}");
    assert_eq!(header(&head, "etag"), Some("y"));
    assert_eq!(dyno.connections(), 1);
}

#[tokio::test]
async fn a_response_streams_while_it_is_made() {
    let (say, said) = async_channel();
    let dyno = Dyno::script(move |mut conn, _| {
        let said = said.clone();
        async move {
            conn.head().await;
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            let mut said = said.lock().await;
            while let Some(text) = said.recv().await {
                conn.send(&format!("{:x}\r\n{text}\r\n", text.len())).await;
            }
            conn.send("0\r\n\r\n").await;
        }
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client.send(&get("/")).await;
    client.head().await.unwrap();
    // Each part must arrive before the next one is sent.
    for part in ["one", "two", "three"] {
        say.send(part).await.unwrap();
        assert_eq!(client.chunk().await.unwrap(), part);
    }
    drop(say);
    assert_eq!(client.chunk().await.unwrap(), "");
}

#[tokio::test]
async fn trailers_end_a_response_as_well_as_anything() {
    let dyno = Dyno::answering(|_, _| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n5\r\nhello\r\n0\r\nDigest: x\r\n\r\n"
            .to_owned()
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    for _ in 0..3 {
        client.send(&get("/")).await;
        assert_eq!(client.answer().await.body, "hello");
    }
    for line in world.lines(3).await {
        assert!(line.starts_with("at=info method=GET ") && line.contains("status=200 bytes=5 "), "{line}");
    }
    assert_eq!(dyno.connections(), 1);
}

#[tokio::test]
async fn announced_trailers_are_passed_on() {
    let dyno = Dyno::script(|mut conn, _| async move {
        let head = conn.head().await.unwrap();
        assert_eq!(header(&head, "trailer"), Some("x-checksum"), "{head}");
        assert_eq!(conn.chunk().await.unwrap(), "abc");
        // Neither what is not announced, nor what the router says about the client.
        assert_eq!(conn.head().await.unwrap(), "0\r\nx-checksum: 1\r\n\r\n");
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Digest, Set-Cookie\r\n\r\n";
        conn.send(&format!("{head}5\r\nhello\r\n0\r\nDigest: x\r\nSet-Cookie: a=b\r\n\r\n")).await;
        conn.head().await;
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    let head = "POST / HTTP/1.1\r\nHost: shop.apps.test\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n";
    let trailers = "X-Checksum: 1\r\nX-Secret: 2\r\nX-Forwarded-For: 6.6.6.6\r\n";
    client.send(&format!("{head}Trailer: X-Checksum, X-Forwarded-For\r\n\r\n3\r\nabc\r\n0\r\n{trailers}\r\n")).await;
    let head = client.head().await.unwrap();
    assert_eq!(header(&head, "trailer"), Some("digest"), "{head}");
    assert_eq!(client.chunk().await.unwrap(), "hello");
    assert_eq!(client.head().await.unwrap(), "0\r\ndigest: x\r\n\r\n");
}

#[tokio::test]
async fn raw_bytes_in_a_target_reach_the_app() {
    let dyno = Dyno::answering(|head, _| ok(head.split(' ').nth(1).unwrap())).await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    for _ in 0..2 {
        client.send(&get("/a`b<c>\"d\u{e9}?e=<`\">")).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "/a%60b%3Cc%3E\"d%C3%A9?e=%3C`%22%3E"));
    }
    let mut client = world.client().await;
    client.stream.write_all(b"GET /caf\xe9 HTTP/1.1\r\nHost: shop.apps.test\r\n\r\n").await.unwrap();
    assert_eq!(client.answer().await.body, "/caf%E9");
    let lines = world.lines(3).await;
    assert!(lines[2].contains(" path=\"/caf%E9\" "), "{}", lines[2]);
}

#[tokio::test]
async fn an_upload_streams_and_may_be_answered_meanwhile() {
    let dyno = Dyno::script(|mut conn, _| async move {
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        while let Some(chunk) = conn.chunk().await {
            conn.send(&format!("{:x}\r\n{chunk}\r\n", chunk.len())).await;
            if chunk.is_empty() {
                break;
            }
        }
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client.send("POST / HTTP/1.1\r\nHost: shop.apps.test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.head().await.unwrap();
    for part in ["one", "two", "three"] {
        client.send(&format!("{:x}\r\n{part}\r\n", part.len())).await;
        assert_eq!(client.chunk().await.unwrap(), part);
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.chunk().await.unwrap(), "");
    let line = world.line().await;
    assert!(line.contains("status=200 bytes=11 "), "{line}");
}

#[tokio::test]
async fn a_dyno_that_does_not_read_holds_the_client_back() {
    let dyno = Dyno::script(|mut conn, _| async move {
        conn.head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    let length = 1024 * 1024 * 1024;
    client.send(&format!("POST / HTTP/1.1\r\nHost: shop.apps.test\r\nContent-Length: {length}\r\n\r\n")).await;
    use tokio::io::AsyncWriteExt;
    let megabyte = vec![0; 1024 * 1024];
    let mut sent = 0;
    let one_second = std::time::Duration::from_secs(1);
    while let Ok(wrote) = tokio::time::timeout(one_second, client.stream.write(&megabyte)).await {
        sent += wrote.unwrap();
        assert!(sent < 100 << 20, "the router swallows a body that nobody reads");
    }
}

#[tokio::test]
async fn large_bodies_arrive_whole() {
    let dyno = Dyno::answering(|_, body| ok(body)).await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let body: String = (0..400_000).map(|n| format!("{n:07}.")).collect();
    let client = world.client().await;
    let (mut read, mut write) = tokio::io::split(client.stream);
    let sent = body.clone();
    let writer = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let head = format!("PUT / HTTP/1.1\r\nHost: shop.apps.test\r\nContent-Length: {}\r\n\r\n", sent.len());
        write.write_all(head.as_bytes()).await.unwrap();
        write.write_all(sent.as_bytes()).await.unwrap();
        write
    });
    let mut answer = vec![0; 0];
    let mut chunk = vec![0; 1 << 20];
    use tokio::io::AsyncReadExt;
    while answer.len() < body.len() {
        let n = read.read(&mut chunk).await.unwrap();
        assert!(n > 0);
        answer.extend_from_slice(&chunk[..n]);
    }
    drop(writer.await.unwrap());
    assert!(answer.ends_with(&body.as_bytes()[body.len() - 1_000_000..]));
}

#[tokio::test]
async fn a_client_may_wait_for_100_continue() {
    let dyno = Dyno::answering(|head, body| {
        assert_eq!(header(head, "expect"), None);
        ok(body)
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client.send("POST / HTTP/1.1\r\nHost: shop.apps.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("abc").await;
    assert_eq!(client.answer().await.body, "abc");
}

#[tokio::test]
async fn clients_of_http_1_0_are_served() {
    let dyno = Dyno::saying("old").await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client.send("GET / HTTP/1.0\r\nHost: shop.apps.test\r\n\r\n").await;
    let answer = client.answer().await;
    assert!(answer.head.starts_with("HTTP/1.0 200"), "{}", answer.head);
    assert!(client.ended().await);
}

#[tokio::test]
async fn the_line_of_a_request_is_herokus() {
    let dyno = Dyno::saying("thirteen byte").await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client
        .send("GET /a\"b?c HTTP/1.1\r\nHost: Shop.Apps.Test:80\r\nX-Request-Id: 0123456789abcdef0123\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")
        .await;
    client.answer().await;
    let line = world.line().await;
    let (before, rest) = line.split_once("connect=").unwrap();
    assert_eq!(
        before,
        "at=info method=GET path=\"/a\\\"b?c\" host=shop.apps.test \
         request_id=0123456789abcdef0123 fwd=\"127.0.0.1\" dyno=web.1 "
    );
    let words: Vec<_> = rest.split(' ').collect();
    assert!(words[0].ends_with("ms") && words[1].starts_with("service=") && words[1].ends_with("ms"));
    assert_eq!(words[2..], ["status=200", "bytes=13", "protocol=http"]);
}

#[tokio::test]
async fn localhost_is_both_loopbacks() {
    let dyno = Dyno::saying("six").await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let v6 = std::net::SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, world.addr.port()));
    let Ok(stream) = tokio::net::TcpStream::connect(v6).await else {
        // The machine has no IPv6.
        return;
    };
    let mut client = Conn::new(stream);
    client.send(&get("/")).await;
    assert_eq!(client.answer().await.body, "six");
}

type Channel = (
    tokio::sync::mpsc::Sender<&'static str>,
    std::sync::Arc<tokio::sync::Mutex<tokio::sync::mpsc::Receiver<&'static str>>>,
);

fn async_channel() -> Channel {
    let (say, said) = tokio::sync::mpsc::channel(1);
    (say, std::sync::Arc::new(tokio::sync::Mutex::new(said)))
}

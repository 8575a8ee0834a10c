//! Apps and clients that send data that is cheap for them and expensive for the router.

use router::AppState::Up;
use tokio::io::AsyncWriteExt as _;

use crate::support::*;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
/// Tiny chunks of one body.
const CHUNKS: usize = 20_000;

/// A dyno that sends an endless response, depending on the path, or a short one.
async fn flooding_dyno() -> Dyno {
    Dyno::script(|mut conn, _| async move {
        let Some(head) = conn.head().await else { return };
        let (beginning, flood) = match head.split(' ').nth(1).unwrap() {
            "/continue" => ("", "HTTP/1.1 100 Continue\r\n\r\n"),
            "/hints" => ("", HINT),
            "/bytes" => (CHUNKED, "1\r\na\r\n"),
            "/zeros" => (CHUNKED, "0000000000000000"),
            _ => return conn.send(&ok("served")).await,
        };
        conn.send(beginning).await;
        let flood = flood.repeat(10_000);
        while conn.stream.write_all(flood.as_bytes()).await.is_ok() {}
    })
    .await
}

/// A router with a single thread, which all of them share.
#[tokio::test]
async fn a_flood_from_a_dyno_leaves_others_their_turn() {
    for path in ["/continue", "/hints", "/bytes", "/zeros"] {
        let dyno = flooding_dyno().await;
        let world = World::start().await;
        world.shop(Up, &[dyno.addr]).await;
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let mut client = world.client().await.stream;
            readers.spawn(async move {
                client.write_all(get(path).as_bytes()).await.unwrap();
                let _ = tokio::io::copy(&mut client, &mut tokio::io::sink()).await;
            });
        }
        eventually("four floods", || (dyno.connections() >= 4).then_some(())).await;
        for _ in 0..10 {
            assert_eq!(world.get("/").await.body, "served", "{path}");
        }
    }
}

#[tokio::test]
async fn a_flood_from_a_client_leaves_others_their_turn() {
    let dyno = Dyno::script(|mut conn, _| async move {
        let Some(head) = conn.head().await else { return };
        match head.starts_with("GET") {
            true => conn.send(&ok("served")).await,
            false => while conn.more().await {},
        }
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    for flood in ["1\r\na\r\n", "0000000000000000"] {
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let mut client = world.client().await.stream;
            writers.spawn(async move {
                client.write_all(post_chunked().as_bytes()).await.unwrap();
                let flood = flood.repeat(10_000);
                while client.write_all(flood.as_bytes()).await.is_ok() {}
            });
        }
        for _ in 0..10 {
            assert_eq!(world.get("/").await.body, "served", "{flood}");
        }
    }
}

#[tokio::test]
async fn interim_responses_are_limited_in_number_and_size() {
    let large = format!("HTTP/1.1 103 Early Hints\r\nX: {}\r\n\r\n", "y".repeat(40_000));
    for (interim, status) in
        [(HINT.repeat(100), 200), (HINT.repeat(101), 503), (large.clone(), 200), (large.repeat(2), 503)]
    {
        let dyno = Dyno::answering(move |_, _| format!("{interim}{}", ok("final"))).await;
        let world = World::start().await;
        world.shop(Up, &[dyno.addr]).await;
        // They are counted for each request.
        for _ in 0..2 {
            let answer = world.get("/").await;
            assert_eq!(answer.status, status);
            assert!(answer.body.contains(if status == 200 { "final" } else { "H17" }), "{}", answer.body);
        }
        assert_eq!(dyno.connections(), if status == 200 { 1 } else { 2 });
    }
}

fn post_chunked() -> String {
    "POST / HTTP/1.1\r\nHost: shop.apps.test\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()
}

/// A body, and the same in chunks of one byte.
fn tiny_chunks() -> (String, String) {
    let body: String = ('a'..='z').cycle().take(CHUNKS).collect();
    let chunks: String = body.chars().map(|letter| format!("1\r\n{letter}\r\n")).collect();
    (body, chunks + "0\r\n\r\n")
}

/// The rest of a chunked body, and its number of chunks.
async fn count_chunks<S>(conn: &mut Conn<S>) -> (String, usize)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let (mut body, mut chunks) = (String::new(), 0);
    loop {
        let chunk = conn.chunk().await.unwrap();
        if chunk.is_empty() {
            return (body, chunks);
        }
        body += &chunk;
        chunks += 1;
    }
}

#[tokio::test]
async fn tiny_chunks_of_a_response_are_joined() {
    let (body, chunks) = tiny_chunks();
    let dyno = Dyno::answering(move |_, _| format!("{CHUNKED}{chunks}")).await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client.send(&get("/")).await;
    client.head().await.unwrap();
    let (received, chunks) = count_chunks(&mut client).await;
    assert_eq!(received, body);
    assert!(chunks < CHUNKS / 10, "{chunks} chunks");
    assert!(world.line().await.contains(&format!("bytes={CHUNKS} ")));
}

#[tokio::test]
async fn tiny_chunks_of_a_request_are_joined() {
    let dyno = Dyno::script(|mut conn, _| async move {
        conn.head().await.unwrap();
        let (body, chunks) = count_chunks(&mut conn).await;
        conn.send(&ok(&format!("{chunks} {body}"))).await;
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let (body, chunks) = tiny_chunks();
    let mut client = world.client().await;
    client.send(&(post_chunked() + &chunks)).await;
    let answer = client.answer().await.body;
    let (chunks, received) = answer.split_once(' ').unwrap();
    assert_eq!(received, body);
    assert!(chunks.parse::<usize>().unwrap() < CHUNKS / 10, "{chunks} chunks");
}

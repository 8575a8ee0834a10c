//! Trusted proxies: the client address and the scheme of requests through them.

use router::AppState::Up;
use router::Config;
use tokio::net::UnixListener;

use crate::support::*;

fn server(world: &World) {
    let listener = UnixListener::bind(world.dir.path().join("run/server.sock")).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut conn = Conn::new(stream);
                while let Some(head) = conn.head().await {
                    conn.send(&ok(&head)).await;
                }
            });
        }
    });
}

fn behind_tls(config: &mut Config) {
    config.tls = true;
    config.trusted = "127.0.0.1,10.0.0.0/8".parse().unwrap();
}

async fn ask(world: &World, host: &str, lines: &str) -> Answer {
    let mut client = world.client().await;
    client.send(&format!("GET /a?b HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")).await;
    client.answer().await
}

#[tokio::test]
async fn the_client_of_a_trusted_proxy_is_everywhere() {
    let dyno = Dyno::answering(|head, _| ok(head)).await;
    let world = World::configured(behind_tls).await;
    world.shop(Up, &[dyno.addr]).await;
    server(&world);
    for host in ["shop.apps.test", "wharf.test"] {
        let lines = "X-Forwarded-For: 6.6.6.6, 192.0.2.9, 10.0.0.1\r\nX-Forwarded-Proto: https\r\n";
        let head = ask(&world, host, lines).await.body;
        assert_eq!(header(&head, "x-forwarded-for"), Some("192.0.2.9"));
        assert_eq!(header(&head, "x-forwarded-proto"), Some("https"));
        assert_eq!(header(&head, "x-forwarded-port"), Some("443"));
    }
    let line = world.line().await;
    assert!(line.contains("fwd=\"192.0.2.9\"") && line.ends_with("protocol=https"), "{line}");
    // Requests on one connection can have different clients.
    let mut client = world.client().await;
    for address in ["192.0.2.1", "192.0.2.2"] {
        client.send(&format!("GET / HTTP/1.1\r\nHost: wharf.test\r\nX-Forwarded-For: {address}\r\n\r\n")).await;
        assert_eq!(header(&client.answer().await.body, "x-forwarded-for"), Some(address));
    }
}

#[tokio::test]
async fn an_app_is_no_proxy_though_its_address_is_in_a_network_that_is_trusted() {
    let world = World::configured(|config| {
        // As with 10.0.0.0/8 and the dynos' 10.231.0.0/16.
        let all: router::Networks = "127.0.0.0/8".parse().unwrap();
        config.trusted = all.without(&"127.0.0.1".parse().unwrap());
    })
    .await;
    world.shop(Up, &[]).await;
    server(&world);
    let head = ask(&world, "wharf.test", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n").await.body;
    assert_eq!(header(&head, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(header(&head, "x-forwarded-proto"), Some("http"));
}

#[tokio::test]
async fn https_sets_hsts() {
    let dyno = Dyno::saying("hello").await;
    let world = World::configured(behind_tls).await;
    world.shop(Up, &[dyno.addr]).await;
    server(&world);
    let hsts = |answer: &Answer| answer.header("strict-transport-security").map(str::to_owned);
    let answer = ask(&world, "wharf.test", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n").await;
    assert_eq!((answer.status, hsts(&answer).as_deref()), (200, Some("max-age=31536000")));
    // If the proxy does not state the scheme, --tls determines it.
    assert!(hsts(&ask(&world, "wharf.test", "").await).is_some());
    // Apps set this header themselves.
    assert_eq!(hsts(&ask(&world, "shop.apps.test", "X-Forwarded-Proto: https\r\n").await), None);
    // There is none over plain HTTP: anybody on the path could add it.
    let plain = World::start().await;
    plain.shop(Up, &[]).await;
    server(&plain);
    assert_eq!(hsts(&ask(&plain, "wharf.test", "X-Forwarded-Proto: https\r\n").await), None);
    let off = World::configured(|config| {
        behind_tls(config);
        config.hsts = std::time::Duration::ZERO;
    })
    .await;
    off.shop(Up, &[]).await;
    server(&off);
    assert_eq!(hsts(&ask(&off, "wharf.test", "").await), None);
}

#[tokio::test]
async fn who_comes_by_plain_http_is_sent_to_https() {
    let dyno = Dyno::saying("as it is").await;
    let world = World::configured(behind_tls).await;
    world.shop(Up, &[dyno.addr]).await;
    server(&world);
    let plain = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n";
    let answer = ask(&world, "API.wharf.test:80", plain).await;
    assert_eq!((answer.status, answer.header("location")), (308, Some("https://API.wharf.test/a?b")));
    assert_eq!(answer.header("strict-transport-security"), None);
    // Apps redirect themselves.
    assert_eq!(ask(&world, "shop.apps.test", plain).await.body, "as it is");
}

#[tokio::test]
async fn the_proxy_protocol_names_the_client() {
    let dyno = Dyno::answering(|head, _| ok(head)).await;
    let world = World::configured(|config| {
        behind_tls(config);
        config.proxy_protocol = true;
    })
    .await;
    world.shop(Up, &[dyno.addr]).await;
    let from = async |introduction: &[u8], lines: &str| {
        let mut client = world.client().await;
        tokio::io::AsyncWriteExt::write_all(&mut client.stream, introduction).await.unwrap();
        client.send(&format!("GET / HTTP/1.1\r\nHost: shop.apps.test\r\n{lines}\r\n")).await;
        let head = client.head().await?;
        let body = client.body(&head).await?;
        header(&body, "x-forwarded-for").map(str::to_owned)
    };
    let v1 = b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n";
    assert_eq!(from(v1, "").await.as_deref(), Some("192.0.2.1"));
    // The peer that it names is not a trusted proxy, so its statements are ignored.
    assert_eq!(from(v1, "X-Forwarded-For: 6.6.6.6\r\n").await.as_deref(), Some("192.0.2.1"));
    // Or it is one.
    let proxy = b"PROXY TCP4 10.0.0.9 10.0.0.1 4711 443\r\n";
    assert_eq!(from(proxy, "X-Forwarded-For: 192.0.2.3\r\n").await.as_deref(), Some("192.0.2.3"));
    let v2 = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &[192, 0, 2, 2, 10, 0, 0, 1, 1, 1, 1, 1][..]].concat();
    assert_eq!(from(&v2, "").await.as_deref(), Some("192.0.2.2"));
    assert_eq!(from(b"PROXY UNKNOWN\r\n", "").await.as_deref(), Some("127.0.0.1"));
    // A trusted peer without the header is disconnected: its client could have omitted it.
    assert_eq!(from(b"", "").await, None);
}

/// Clients behind a proxy are counted individually.
#[tokio::test]
async fn one_client_of_a_proxy_does_not_use_up_what_others_have() {
    let dyno = Dyno::script(|mut conn, _| async move {
        while let Some(head) = conn.head().await {
            match head.contains("/slow") {
                true => std::future::pending::<()>().await,
                false => conn.send(&ok("served")).await,
            }
        }
    })
    .await;
    let world = World::configured(|config| {
        behind_tls(config);
        config.limits.per_address = 2;
    })
    .await;
    world.shop(Up, &[dyno.addr]).await;
    let mut at_work = Vec::new();
    for _ in 0..2 {
        let mut client = world.client().await;
        client.send("GET /slow HTTP/1.1\r\nHost: shop.apps.test\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n").await;
        at_work.push(client);
    }
    eventually("two requests", || (dyno.connections() == 2).then_some(())).await;
    assert_eq!(ask(&world, "shop.apps.test", "X-Forwarded-For: 192.0.2.1\r\n").await.status, 429);
    assert_eq!(ask(&world, "shop.apps.test", "X-Forwarded-For: 192.0.2.2\r\n").await.body, "served");
}

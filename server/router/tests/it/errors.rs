//! Every H code: the response and the log line.

use std::time::Duration;

use router::AppState::{self, *};
use router::{Backend, Timeouts};
use tokio::net::TcpListener;

use crate::support::*;

const SHORT: Duration = Duration::from_millis(200);

/// The response and the log line of a GET to the shop in this state.
async fn get_in(state: AppState, dynos: &[std::net::SocketAddr], timeouts: Timeouts) -> (Answer, String) {
    let world = World::with(timeouts).await;
    world.shop(state, dynos).await;
    let answer = world.get("/").await;
    (answer, world.line().await)
}

#[track_caller]
fn check((answer, line): (Answer, String), status: u16, code: &str, start: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(answer.body.contains(code), "{}", answer.body);
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    assert!(line.starts_with(start), "{line}");
    assert!(line.contains(&format!("status={status} bytes=0 ")), "{line}");
}

#[tokio::test]
async fn apps_that_do_not_run() {
    let dyno = Dyno::saying("not for you").await;
    check(
        get_in(Crashed, &[], patient()).await,
        503,
        "H10",
        "at=error code=H10 desc=\"App crashed\" method=GET path=\"/\" host=shop.apps.test ",
    );
    check(get_in(NoWeb, &[], patient()).await, 503, "H14", "at=error code=H14 desc=\"No web dynos running\" ");
    check(
        get_in(Maintenance, &[dyno.addr], patient()).await,
        503,
        "H80",
        "at=info code=H80 desc=\"Maintenance mode\" ",
    );
    let blank = get_in(Blank, &[], patient()).await;
    assert!(blank.0.body.contains("git push wharf HEAD:main"));
    assert!(blank.0.body.contains("http://wharf.test/shop.git"), "{}", blank.0.body);
    assert!(blank.1.contains(" dyno= connect= service= "), "{}", blank.1);
    check(blank, 503, "H81", "at=info code=H81 desc=\"Blank app\" ");
    assert_eq!(dyno.connections(), 0);
}

#[tokio::test]
async fn an_app_that_does_not_exist() {
    let world = World::start().await;
    world.shop(Up, &[]).await;
    let mut client = world.client().await;
    client.send("GET / HTTP/1.1\r\nHost: other.apps.test\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("No such app") && answer.body.contains("other.apps.test"));
    client.send("GET / HTTP/1.1\r\nHost: other.apps.test\r\nAccept: application/json\r\n\r\n").await;
    assert!(client.answer().await.body.starts_with("{\"id\":\"not_found\""));
    assert!(lines_in(&router::spool_dir(world.dir.path())).is_empty());
}

#[tokio::test]
async fn what_cannot_be_parsed_gets_a_page() {
    let dyno = Dyno::saying("not for you").await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    for target in ["/ HTTP/1.1\r\nno header", "/\u{1} HTTP/1.1", "/ HTTP/1.1\r\nX Y: a", "/ HTTP/9.9"] {
        let mut client = world.client().await;
        client.send(&format!("GET {target}\r\nHost: shop.apps.test\r\n\r\n")).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.header("connection")), (400, Some("close")), "{}", answer.head);
        assert!(answer.body.contains("The request is not valid HTTP.") && answer.body.contains("<html"), "{target}");
        assert!(client.ended().await);
    }
    // The operator's log and counters have them; no app does.
    while world.control.counters().await.unwrap().malformed < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(lines_in(&router::spool_dir(world.dir.path())).is_empty());
    assert_eq!(dyno.connections(), 0);
}

#[tokio::test]
async fn h12_a_dyno_that_does_not_answer() {
    let dyno = Dyno::script(|mut conn, _| async move {
        conn.head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let timeouts = Timeouts { first_byte: SHORT, ..patient() };
    let (answer, line) = get_in(Up, &[dyno.addr], timeouts).await;
    assert!(line.contains(" dyno=web.1 connect="), "{line}");
    check((answer, line), 503, "H12", "at=error code=H12 desc=\"Request timeout\" ");
}

#[tokio::test]
async fn h13_a_dyno_that_closes_without_an_answer() {
    let dyno = Dyno::script(|mut conn, _| async move {
        conn.head().await;
    })
    .await;
    check(
        get_in(Up, &[dyno.addr], patient()).await,
        503,
        "H13",
        "at=error code=H13 desc=\"Connection closed without response\" ",
    );
    assert_eq!(dyno.connections(), 1);
}

#[tokio::test]
async fn h13_a_dyno_that_dies_of_a_request_on_a_kept_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut conn = Conn::new(listener.accept().await.unwrap().0);
        conn.head().await.unwrap();
        conn.send(&ok("")).await;
        conn.head().await.unwrap();
        // When the connection ends, nothing listens any more.
        drop(listener);
    });
    let world = World::start().await;
    world.shop(Up, &[addr]).await;
    assert_eq!(world.get("/").await.status, 200);
    world.line().await;
    let answer = world.get("/die").await;
    assert_eq!((answer.status, answer.body.contains("H13")), (503, true), "{}", answer.body);
}

#[tokio::test]
async fn h15_a_response_that_stops() {
    let dyno = Dyno::script(|mut conn, _| async move {
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
        std::future::pending::<()>().await;
    })
    .await;
    let world = World::with(Timeouts { idle: SHORT, ..patient() }).await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client.send(&get("/")).await;
    let head = client.head().await.unwrap();
    assert_eq!(client.body(&head).await, None);
    let line = world.line().await;
    assert!(line.starts_with("at=error code=H15 desc=\"Idle connection\" "), "{line}");
    assert!(line.contains("status=503 bytes=3 "), "{line}");
}

#[tokio::test]
async fn h17_and_h25_responses_that_are_not_http() {
    let nonsense = Dyno::answering(|_, _| "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned()).await;
    check(
        get_in(Up, &[nonsense.addr], patient()).await,
        503,
        "H17",
        "at=error code=H17 desc=\"Poorly formatted HTTP response\" ",
    );
    let cookie = Dyno::answering(|_, _| {
        format!("HTTP/1.1 200 OK\r\nSet-Cookie: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(9000))
    })
    .await;
    check(get_in(Up, &[cookie.addr], patient()).await, 502, "H25", "at=error code=H25 desc=\"HTTP Restriction\" ");
    let unasked = Dyno::answering(|_, _| {
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n".to_owned()
    })
    .await;
    check(get_in(Up, &[unasked.addr], patient()).await, 503, "H17", "at=error code=H17 ");
}

#[tokio::test]
async fn h18_a_dyno_that_breaks_off() {
    let dyno = Dyno::script(|mut conn, _| async move {
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client.send(&get("/")).await;
    let head = client.head().await.unwrap();
    assert_eq!(client.body(&head).await, None);
    let line = world.line().await;
    assert!(line.starts_with("at=error code=H18 desc=\"Server Request Interrupted\" sock=backend method="), "{line}");
}

#[tokio::test]
async fn h19_a_dyno_that_does_not_take_connections() {
    // A backlog of one that is full: the kernel lets further clients wait.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener: TcpListener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(addr)).await {
        held.push(stream.unwrap());
        assert!(held.len() < 100);
    }
    let timeouts = Timeouts { connect: SHORT, ..patient() };
    let world = World::with(timeouts).await;
    world.shop(Up, &[addr]).await;
    let answer = world.get("/").await;
    check((answer, world.line().await), 503, "H19", "at=error code=H19 desc=\"Backend connection timeout\" ");
    // Requests do not wait for it again while it is quarantined.
    let answer = world.get("/").await;
    assert!(answer.body.contains("H34"));
    assert!(world.lines(2).await[1].starts_with("at=error code=H34 desc=\"All up dynos quarantined\" "));
    // Those on standby get its requests.
    let old = Dyno::saying("old").await;
    let mut routes = shop(Up, &[addr]);
    routes.apps[0].standby = vec![Backend { dyno: "web.1".into(), addr: old.addr }];
    world.control.put(&routes).await.unwrap();
    assert_eq!(world.get("/").await.body, "old");
}

#[tokio::test]
async fn h20_an_app_that_does_not_start_and_one_that_does() {
    let timeouts = Timeouts { boot: SHORT, ..patient() };
    check(get_in(Booting, &[], timeouts).await, 503, "H20", "at=error code=H20 desc=\"App boot timeout\" ");

    let dyno = Dyno::saying("up now").await;
    let world = World::start().await;
    world.shop(Booting, &[]).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = world.client().await;
        client.send(&get("/")).await;
        clients.push(client);
    }
    wait_for_inflight(&world, 5).await;
    world.shop(Booting, &[]).await;
    world.shop(Up, &[dyno.addr]).await;
    for client in &mut clients {
        assert_eq!(client.answer().await.body, "up now");
    }
    world.shop(Booting, &[]).await;
    clients[0].send(&get("/")).await;
    wait_for_inflight(&world, 1).await;
    world.shop(Crashed, &[]).await;
    assert!(clients[0].answer().await.body.contains("H10"));
}

#[tokio::test]
async fn h21_a_dyno_that_refuses_and_others_that_do_not() {
    let refusing = nobody().await;
    check(
        get_in(Up, &[refusing], patient()).await,
        503,
        "H21",
        "at=error code=H21 desc=\"Backend connection refused\" ",
    );
    let dyno = Dyno::saying("me").await;
    let world = World::start().await;
    world.shop(Up, &[refusing, dyno.addr]).await;
    for _ in 0..20 {
        assert_eq!(world.get("/").await.body, "me");
    }
    for line in world.lines(20).await {
        assert!(line.contains(" dyno=web.2 "), "{line}");
    }
}

#[tokio::test]
async fn dynos_on_standby_answer_what_all_others_refuse() {
    // It ends its connections, as one that has exited does.
    let reply = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\nnew";
    let (new, old) = (Dyno::answering(move |_, _| reply.to_owned()).await, Dyno::saying("old").await);
    let world = World::start().await;
    let mut routes = shop(Up, &[new.addr]);
    routes.apps[0].standby = vec![Backend { dyno: "web.1".into(), addr: old.addr }];
    world.control.put(&routes).await.unwrap();
    for _ in 0..10 {
        assert_eq!(world.get("/").await.body, "new");
    }
    let addr = new.refuse().await;
    for _ in 0..10 {
        assert_eq!(world.get("/").await.body, "old");
    }
    // They take over again.
    world.shop(Up, &[old.addr]).await;
    assert_eq!(world.get("/").await.body, "old");
    world.shop(Up, &[addr]).await;
    assert_eq!(world.get("/").await.status, 503);
}

#[tokio::test]
async fn a_dyno_that_came_back_is_asked_again() {
    let refusing = nobody().await;
    let world = World::start().await;
    world.shop(Up, &[refusing]).await;
    assert_eq!(world.get("/").await.status, 503);
    let listener = TcpListener::bind(refusing).await.unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut conn = Conn::new(stream);
        conn.head().await;
        conn.send(&ok("back")).await;
    });
    assert_eq!(world.get("/").await.body, "back");
}

#[tokio::test]
async fn h26_an_unsupported_expectation_and_a_long_header() {
    let dyno = Dyno::saying("").await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client.send("GET / HTTP/1.1\r\nHost: shop.apps.test\r\nExpect: miracles\r\n\r\n").await;
    check((client.answer().await, world.line().await), 417, "H26", "at=error code=H26 desc=\"Request Error\" ");
    let long = "x".repeat(9000);
    let mut client = world.client().await;
    client.send(&format!("GET / HTTP/1.1\r\nHost: shop.apps.test\r\nX-Long: {long}\r\n\r\n")).await;
    assert_eq!(client.answer().await.status, 400);
    assert!(world.lines(2).await[1].contains("code=H26"));
    assert_eq!(dyno.connections(), 0);
}

#[tokio::test]
async fn h27_clients_that_leave() {
    let dyno = Dyno::script(|mut conn, n| async move {
        let head = conn.head().await.unwrap();
        if n == 0 {
            // The router closes the connection when the client has left.
            assert!(conn.ended().await);
        } else if n == 1 {
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            while tokio::io::AsyncWriteExt::write_all(&mut conn.stream, b"3\r\nabc\r\n").await.is_ok() {}
        } else {
            assert_eq!(conn.body(&head).await, None);
        }
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let start = "at=info code=H27 desc=\"Client Request Interrupted\" sock=client method=";

    // Before the dyno responds.
    let mut client = world.client().await;
    client.send(&get("/")).await;
    eventually("connection", || (dyno.connections() == 1).then_some(())).await;
    drop(client);
    let line = world.line().await;
    assert!(line.starts_with(start) && line.contains("status=499 bytes=0 "), "{line}");

    // During the response.
    let mut client = world.client().await;
    client.send(&get("/")).await;
    client.head().await.unwrap();
    drop(client);
    let line = world.lines(2).await.remove(1);
    assert!(line.starts_with(start) && line.contains("status=499 "), "{line}");

    // During the upload of its body.
    let mut client = world.client().await;
    client.send("POST / HTTP/1.1\r\nHost: shop.apps.test\r\nContent-Length: 10\r\n\r\nabc").await;
    eventually("connection", || (dyno.connections() == 3).then_some(())).await;
    drop(client);
    let line = world.lines(3).await.remove(2);
    assert!(line.starts_with(start) && line.contains("status=499 bytes=0 "), "{line}");
}

#[tokio::test]
async fn h28_clients_that_fall_silent() {
    let dyno = Dyno::script(|mut conn, n| async move {
        conn.head().await;
        if n == 0 {
            std::future::pending::<()>().await;
        }
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while tokio::io::AsyncWriteExt::write_all(&mut conn.stream, chunk.as_bytes()).await.is_ok() {}
    })
    .await;
    let world = World::with(Timeouts { idle: SHORT, ..patient() }).await;
    world.shop(Up, &[dyno.addr]).await;
    let start = "at=warning code=H28 desc=\"Client Connection Idle\" sock=client ";

    // It does not send its body.
    let mut client = world.client().await;
    client.send("POST / HTTP/1.1\r\nHost: shop.apps.test\r\nContent-Length: 10\r\n\r\nabc").await;
    assert_eq!(client.answer().await.status, 408);
    let line = world.line().await;
    assert!(line.starts_with(start) && line.contains("status=499 "), "{line}");

    // It does not read the response.
    let mut client = world.client().await;
    client.send(&get("/")).await;
    let line = world.lines(2).await.remove(1);
    assert!(line.starts_with(start), "{line}");
}

async fn wait_for_inflight(world: &World, n: u64) {
    loop {
        let counters = world.control.counters().await.unwrap();
        if counters.apps[0].inflight == n {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

//! One-off dynos and terminals: run, attached to, watched over.

use std::process::Stdio;

use api::{
    dynos::{Dyno, DynoCreate, DynoExec, DynoState, Window},
    ids::RunId,
    terminals::{FromTerminal, STDOUT, ToTerminal},
};
use dyno::{
    Terminal, WindowSize,
    fake::{FakeTerminal, Reaction},
};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _},
};

use crate::{
    live::{bearer, serve},
    sessions::sign_in,
    teams::somebody,
    world::{Actor, LONG, World, until},
};

/// A world with a deployed app, dusk.
async fn deployed() -> World {
    deployed_in(World::start().await).await
}

async fn deployed_in(t: World) -> World {
    t.app("dusk").await;
    t.deploy("dusk", &[("web", "./server"), ("worker", "./work --fast")]).await;
    t.owner.patch("/apps/dusk/config-vars", json!({ "A": "config", "B": "config" })).await;
    t.dynos("dusk", &["web.1 up v3"]).await;
    t
}

fn command(text: &str) -> DynoCreate {
    DynoCreate { command: Some(text.into()), ..DynoCreate::default() }
}

fn attached(text: &str) -> DynoCreate {
    DynoCreate { attach: Some(true), window: Some(Window { columns: 100, rows: 30 }), ..command(text) }
}

async fn run_of(t: &World, dyno: &Dyno) -> RunId {
    until(&format!("{} runs", dyno.name), async || {
        t.driver.running(&dyno.name).map(|status| status.handle.id).ok_or_else(String::new)
    })
    .await
}

async fn ended(t: &World, dyno: &Dyno) -> Dyno {
    until(&format!("{} has ended", dyno.name), async || {
        let found = t.owner.dyno_info("dusk", &dyno.id.to_string()).await.unwrap();
        if found.last_exit.is_some() { Ok(found) } else { Err(format!("{found:?}")) }
    })
    .await
}

#[tokio::test]
async fn a_detached_command_runs_logs_and_leaves_its_status() {
    let t = deployed().await;
    let env = [("B".to_owned(), "call".to_owned())].into();
    let create = DynoCreate { env: Some(env), size: Some("2x".into()), ..command("worker --once") };
    let dyno = t.owner.dyno_create("dusk", &create).await.unwrap();
    assert!(dyno.name.starts_with("run.") && dyno.attach_url.is_none() && dyno.terminal_path.is_none(), "{dyno:?}");
    assert_eq!((dyno.command.as_str(), dyno.size.as_str()), ("./work --fast --once", "Standard-2X"));
    let run = run_of(&t, &dyno).await;
    let spec = t.driver.started().into_iter().find(|spec| spec.id == run).unwrap();
    assert_eq!((spec.env["A"].as_str(), spec.env["B"].as_str()), ("config", "call"));
    assert_eq!((spec.command.as_str(), spec.terminal, spec.port), ("./work --fast --once", None, None));
    t.dynos("dusk", &["web.1 up v3", &format!("{} up v3", dyno.name)]).await;

    let status = t.owner.app_status("dusk").await.unwrap();
    assert_eq!(status.one_offs.iter().map(|d| &d.name).collect::<Vec<_>>(), [&dyno.name]);
    assert_eq!(status.dynos.len(), 1);

    t.driver.say(run, b'o', "hello from it").unwrap();
    t.log_with("dusk", &format!("app[{}]: hello from it", dyno.name)).await;
    t.driver.exit(run, 3);
    let end = ended(&t, &dyno).await;
    assert_eq!((end.exit_status, end.state), (Some(3), DynoState::Down));
    assert_eq!(end.last_exit.as_deref(), Some("Process exited with status 3"));
    t.dynos("dusk", &["web.1 up v3"]).await;
    until("its files are gone", async || match t.driver.running(&dyno.name) {
        None => Ok(()),
        some => Err(format!("{some:?}")),
    })
    .await;

    // Who ran what is in the audit log, with the names of the variables and without their values.
    let events = t.owner.get("/events?action=dyno.").await.text();
    assert!(events.contains("dyno.run") && events.contains("./work --fast --once") && events.contains("\"B\""));
    let log = t.log_with("dusk", "Starting process with command").await;
    for text in [events, log] {
        assert!(!text.contains("\"call\"") && !text.contains("=call"), "{text}");
    }
    let stored: i64 =
        sqlx::query_scalar("select count(*) from one_offs where env is not null").fetch_one(&t.db).await.unwrap();
    assert_eq!(stored, 0, "the environment is forgotten");
}

#[tokio::test]
async fn it_is_listed_stopped_and_not_started_again() {
    let t = deployed().await;
    let dyno = t.owner.dyno_create("dusk", &command("sleep 1000")).await.unwrap();
    let run = run_of(&t, &dyno).await;
    let stop = format!("/apps/dusk/dynos/{}/actions/stop", dyno.name);
    assert_eq!(t.owner.post(&stop, json!({})).await.status, 202);
    let end = ended(&t, &dyno).await;
    assert_eq!(end.exit_status, Some(128 + 15));
    assert!(t.driver.signals().contains(&(run, 15)));
    assert_eq!(t.owner.post(&stop, json!({})).await.status, 404);
    t.dynos("dusk", &["web.1 up v3"]).await;
    // Heroku's way to stop one.
    let dyno = t.owner.dyno_create("dusk", &command("sleep 1000")).await.unwrap();
    run_of(&t, &dyno).await;
    assert_eq!(t.owner.ask("DELETE", &format!("/apps/dusk/dynos/{}", dyno.name)).await.status, 202);
    ended(&t, &dyno).await;
}

#[tokio::test]
async fn one_that_cannot_start_says_why() {
    let t = deployed().await;
    t.driver.react(|spec| match spec.name.starts_with("run.") {
        true => Reaction::Fail("There is no room.".into()),
        false => Reaction::Run,
    });
    let dyno = t.owner.dyno_create("dusk", &command("ls")).await.unwrap();
    assert_eq!(ended(&t, &dyno).await.last_exit.as_deref(), Some("There is no room."));
}

#[tokio::test]
async fn one_that_uses_too_much_memory_says_so() {
    let t = deployed().await;
    let dyno = t.owner.dyno_create("dusk", &command("leak")).await.unwrap();
    let run = run_of(&t, &dyno).await;
    assert_eq!(dyno.size, "Standard-1X");
    let memory = 600 << 20;
    t.driver.set_stats(run, dyno::Stats { memory_rss: memory, ..dyno::Stats::default() });
    t.log_with("dusk", &format!("heroku[{}]: Error R14 (Memory quota exceeded)", dyno.name)).await;
    until("its usage is shown", async || match t.owner.app_status("dusk").await.unwrap().one_offs[0].usage {
        Some(usage) if usage.memory == memory => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;

    let killed =
        dyno::Exit { at: chrono::Utc::now(), code: None, signal: Some(9), oom: true, crowded: false, error: None };
    t.driver.exit_with(run, killed);
    t.log_with("dusk", &format!("heroku[{}]: Error R15 (Memory quota vastly exceeded)", dyno.name)).await;
    let end = ended(&t, &dyno).await;
    assert_eq!(end.last_exit.as_deref(), Some("Process exited with status 137 (out of memory)"));
}

#[tokio::test]
async fn it_survives_a_restart_of_the_server() {
    let t = deployed().await;
    let dyno = t.owner.dyno_create("dusk", &command("sleep 1000")).await.unwrap();
    let run = run_of(&t, &dyno).await;
    t.driver.say(run, b'o', "before").unwrap();
    t.log_with("dusk", "before").await;
    t.areas.stop(false).await;
    t.driver.say(run, b'o', "meanwhile").unwrap();
    t.driver.exit(run, 4);
    let t = t.again().await;
    assert_eq!(ended(&t, &dyno).await.exit_status, Some(4));
    let log = t.log_with("dusk", "meanwhile").await;
    assert_eq!(log.matches("before").count(), 1, "{log}");
    assert_eq!(t.driver.started().iter().filter(|spec| spec.name == dyno.name).count(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_said() {
    let t = World::start().await;
    t.app("dusk").await;
    let refused = async |create: Value| t.owner.post("/apps/dusk/dynos", create).await.error();
    let (status, _, message) = refused(json!({ "command": "ls" })).await;
    assert!(status == 422 && message.contains("no code yet"), "{message}");
    t.deploy("dusk", &[("web", "./server")]).await;
    for (create, says) in [
        (json!({}), "The command is empty"),
        (json!({ "command": "ls", "size": "huge" }), "Valid sizes"),
        (json!({ "command": "ls", "time_to_live": 100_000 }), "from 1 to 86400"),
        (json!({ "command": "ls", "env": { "A=B": "" } }), "Invalid config var name"),
        (json!({ "command": "x".repeat(10_001) }), "at most 10000"),
    ] {
        let (status, _, message) = refused(create).await;
        assert!(status == 422 && message.contains(says), "{message}");
    }
}

#[tokio::test]
async fn they_count_towards_quotas_and_have_a_limit() {
    let t = World::start().await;
    t.stranger.post("/apps", json!({ "name": "dawn" })).await;
    let slug = t.stranger.post("/apps/dawn/slugs", json!({ "process_types": { "web": "./server" } })).await.json();
    let put = crate::world::path(slug["blob"]["url"].as_str().unwrap());
    assert_eq!(t.anonymous.ask("PUT", &put).body(crate::world::slug_archive()).await.status, 200);
    t.stranger.post("/apps/dawn/releases", json!({ "slug": slug["id"] })).await;
    t.stranger.patch("/apps/dawn/formation/web", json!({ "quantity": 0 })).await;
    t.owner.patch("/users/stranger@example.com/quotas", json!({ "dynos": 1 })).await;
    assert_eq!(t.stranger.post("/apps/dawn/dynos", json!({ "command": "ls" })).await.status, 201);
    let (status, id, message) = t.stranger.post("/apps/dawn/dynos", json!({ "command": "ls" })).await.error();
    assert_eq!((status, id.as_str()), (422, "quota_reached"), "{message}");
    t.owner.patch("/users/stranger@example.com/quotas", json!({ "dynos": 1000, "memory_mb": 1_000_000 })).await;
    sqlx::query(
        "insert into one_offs (id, app_id, name, type, size, command, release_id, version, run_id, attached, time_limit,
                               state, created_at, updated_at)
         select gen_random_uuid(), app_id, 'run.' || n, type, size, command, release_id, version, gen_random_uuid(),
                false, 60, 'starting', now(), now() from one_offs, generate_series(1, 99) n",
    )
    .execute(&t.db)
    .await
    .unwrap();
    let (status, _, message) = t.stranger.post("/apps/dawn/dynos", json!({ "command": "ls" })).await.error();
    assert!(status == 422 && message.starts_with("This app has 100 running one-off dynos"), "{message}");
}

/// A client of a terminal.
struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// Attaches over a websocket.
async fn attach(host: &str, dyno: &Dyno, who: &Actor) -> Result<Client, u16> {
    open(host, dyno.terminal_path.as_deref().unwrap(), &bearer(who.token.as_ref().unwrap())).await
}

async fn open(host: &str, path: &str, headers: &[(&'static str, String)]) -> Result<Client, u16> {
    let mut request = format!("ws://{host}{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(Client(socket)),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(err) => panic!("{err}"),
    }
}

impl Client {
    /// Output until the next message, and that message; `None` if the socket is closed.
    async fn next(&mut self) -> (String, Option<FromTerminal>) {
        let mut output = Vec::new();
        loop {
            let message = tokio::time::timeout(LONG, self.0.next()).await.expect("something comes");
            match message {
                Some(Ok(Message::Binary(bytes))) => {
                    assert_eq!(bytes[0], STDOUT);
                    output.extend_from_slice(&bytes[1..]);
                }
                Some(Ok(Message::Text(text))) => {
                    return (String::from_utf8(output).unwrap(), Some(serde_json::from_str(&text).unwrap()));
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return (String::from_utf8(output).unwrap(), None),
                Some(Ok(_)) => {}
            }
        }
    }

    async fn send(&mut self, message: ToTerminal) {
        self.0.send(Message::text(serde_json::to_string(&message).unwrap())).await.unwrap();
    }

    async fn write(&mut self, text: &str) {
        self.0.send(Message::binary(text.as_bytes().to_vec())).await.unwrap();
    }
}

/// The other end of a terminal: the process.
async fn process(t: &World, run: RunId) -> FakeTerminal {
    until("the process has a terminal", async || t.driver.terminal(run).ok_or_else(String::new)).await
}

async fn said(process: &mut FakeTerminal) -> Option<(char, Vec<u8>)> {
    tokio::time::timeout(LONG, process.next()).await.expect("something comes").unwrap()
}

#[tokio::test]
async fn a_terminal_carries_input_output_size_and_exit() {
    let t = deployed().await;
    let host = serve(&t).await;
    let dyno = t.owner.dyno_create("dusk", &attached("bash")).await.unwrap();
    assert!(dyno.attach_url.as_ref().unwrap().starts_with("rendezvous://localhost:"), "{dyno:?}");
    let mut client = attach(&host, &dyno, &t.owner).await.unwrap();
    let run = run_of(&t, &dyno).await;
    let mut process = process(&t, run).await;
    let spec = t.driver.started().into_iter().find(|spec| spec.id == run).unwrap();
    assert_eq!(spec.terminal, Some(Terminal::Window(WindowSize { columns: 100, rows: 30 })));
    assert_eq!(client.next().await, (String::new(), Some(FromTerminal::Attached)));
    client.write("ls\n").await;
    assert_eq!(said(&mut process).await, Some(('i', b"ls\n".to_vec())));
    client.send(ToTerminal::Resize(Window { columns: 80, rows: 24 })).await;
    assert_eq!(said(&mut process).await, Some(('z', vec![0, 80, 0, 24])));
    client.send(ToTerminal::EndOfInput).await;
    assert_eq!(said(&mut process).await, Some(('d', vec![])));
    process.say("README\r\n").await.unwrap();
    process.exit(2).await.unwrap();
    t.driver.exit(run, 2);
    let exited = FromTerminal::Exited { status: 2, sentence: "Process exited with status 2".into() };
    assert_eq!(client.next().await, ("README\r\n".to_owned(), Some(exited)));
    assert_eq!(client.next().await.1, None);
    assert_eq!(ended(&t, &dyno).await.exit_status, Some(2));
}

#[tokio::test]
async fn a_secret_opens_once_and_for_its_owner_alone() {
    let t = deployed().await;
    let host = serve(&t).await;
    let ada = somebody(&t, "ada").await;
    t.owner.post("/apps/dusk/collaborators", json!({ "user": "ada@example.com", "permissions": ["deploy"] })).await;
    let dyno = t.owner.dyno_create("dusk", &attached("bash")).await.unwrap();
    let path = dyno.terminal_path.clone().unwrap();
    assert_eq!(attach(&host, &dyno, &ada).await.err(), Some(404));
    assert_eq!(open(&host, &path, &[]).await.err(), Some(401));
    assert_eq!(open(&host, "/terminals/x", &bearer(t.owner.token.as_ref().unwrap())).await.err(), Some(404));
    // A request without an upgrade does not use it up, and shows nothing.
    assert_eq!(t.owner.get(&path).await.status, 404);
    let client = attach(&host, &dyno, &t.owner).await.unwrap();
    assert_eq!(attach(&host, &dyno, &t.owner).await.err(), Some(404));
    drop(client);
}

#[tokio::test]
async fn a_browser_attaches_from_the_console_only() {
    let t = deployed().await;
    let host = serve(&t).await;
    let cookie = sign_in(&t).await;
    let create = async || t.owner.dyno_create("dusk", &attached("bash")).await.unwrap().terminal_path.unwrap();
    let path = create().await;
    t.expects("origin");
    for origin in [None, Some("http://evil.example.com".to_owned()), Some("http://dusk.localhost".to_owned())] {
        let mut headers = vec![("cookie", cookie.clone())];
        headers.extend(origin.map(|origin| ("origin", origin)));
        assert_eq!(open(&host, &path, &headers).await.err(), Some(403));
    }
    let headers = [("cookie", cookie), ("origin", format!("http://{host}"))];
    assert!(open(&host, &path, &headers).await.is_ok());
}

#[tokio::test]
async fn a_session_ends_with_the_rights_of_its_owner() {
    let t = deployed().await;
    let host = serve(&t).await;
    let ada = somebody(&t, "ada").await;
    t.owner.post("/apps/dusk/collaborators", json!({ "user": "ada@example.com", "permissions": ["deploy"] })).await;
    let dyno = ada.dyno_create("dusk", &attached("bash")).await.unwrap();
    let mut client = attach(&host, &dyno, &ada).await.unwrap();
    let mut process = process(&t, run_of(&t, &dyno).await).await;
    assert_eq!(client.next().await.1, Some(FromTerminal::Attached));
    t.owner.patch("/apps/dusk/collaborators/ada@example.com", json!({ "permissions": ["view"] })).await;
    let (_, last) = client.next().await;
    assert!(matches!(&last, Some(FromTerminal::Failed { message }) if message.contains("access")), "{last:?}");
    // The process is hung up.
    assert_eq!(said(&mut process).await, None);
}

#[tokio::test]
async fn who_may_read_or_scale_may_not_run() {
    let t = deployed().await;
    for permissions in [&["view"][..], &["operate"], &["push"], &["config", "push", "scale"]] {
        let name = permissions.join("-");
        let who = somebody(&t, &name).await;
        let body = json!({ "user": format!("{name}@example.com"), "permissions": permissions });
        assert_eq!(t.owner.post("/apps/dusk/collaborators", body).await.status, 201);
        for path in ["/apps/dusk/dynos", "/apps/dusk/dynos/web.1"] {
            let (status, _, message) = who.post(path, json!({ "command": "env" })).await.error();
            assert!(status == 403 && message.contains("\"run\""), "{name}: {message}");
        }
    }
    // Whoever stops dynos stops those, too; whoever only reads does not.
    let dyno = t.owner.dyno_create("dusk", &command("sleep 1000")).await.unwrap();
    let stop = format!("/apps/dusk/dynos/{}/actions/stop", dyno.name);
    let actor = |name: &str| t.actor(&format!("token-of-{name}@example.com"));
    assert_eq!(actor("view").post(&stop, json!({})).await.status, 403);
    assert_eq!(actor("operate").post(&stop, json!({})).await.status, 202);
}

#[tokio::test]
async fn an_exec_runs_in_a_dyno_that_is_up() {
    let t = deployed().await;
    let host = serve(&t).await;
    let exec = DynoExec { window: Some(Window { columns: 90, rows: 20 }), ..DynoExec::default() };
    let dyno = t.owner.dyno_exec("dusk", "web.1", &exec).await.unwrap();
    assert_eq!(dyno.name, "web.1");
    assert!(t.driver.execs().is_empty(), "it starts when somebody attaches");
    let mut client = attach(&host, &dyno, &t.owner).await.unwrap();
    assert_eq!(client.next().await.1, Some(FromTerminal::Attached));
    let (run, started) = t.driver.execs().remove(0);
    assert_eq!((started.command.as_str(), started.env["A"].as_str()), ("bash", "config"));
    assert_eq!(started.terminal, Terminal::Window(WindowSize { columns: 90, rows: 20 }));
    let mut process = process(&t, run).await;
    process.say("$ ").await.unwrap();
    process.exit(0).await.unwrap();
    let (output, last) = client.next().await;
    assert!(output == "$ " && matches!(last, Some(FromTerminal::Exited { status: 0, .. })), "{output} {last:?}");
    let events = t.owner.get("/events?action=dyno.exec").await.text();
    assert!(events.contains("inside the dyno web.1"), "{events}");
    assert_eq!(t.owner.post("/apps/dusk/dynos/web.7", json!({})).await.status, 404);
}

/// The port and the secret of the rendezvous of a dyno.
fn place(dyno: &Dyno) -> (u16, &str) {
    let url = dyno.attach_url.as_deref().unwrap();
    let (host, secret) = url.strip_prefix("rendezvous://").unwrap().split_once('/').unwrap();
    (host.split_once(':').unwrap().1.parse().unwrap(), secret)
}

/// Connects like Heroku's CLI: the URL's secret, then what it prints.
async fn rendezvous(dyno: &Dyno, ending: &str) -> TcpStream {
    let (port, secret) = place(dyno);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(format!("{secret}{ending}").as_bytes()).await.unwrap();
    stream
}

/// What Heroku's CLI asks for.
fn attached_by_heroku(text: &str) -> DynoCreate {
    let env = [("COLUMNS", "120"), ("LINES", "40"), ("TERM", "xterm")];
    let env = env.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    DynoCreate { attach: Some(true), env: Some(env), ..command(text) }
}

#[tokio::test]
async fn the_rendezvous_is_encrypted_with_the_certificate_of_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem"])
        .args(["-out", "cert.pem"])
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let encrypted = |config: &mut builds::Config| {
        config.platform.rendezvous.as_mut().unwrap().tls = Some((file("cert.pem"), file("key.pem")));
    };
    let t = deployed_in(World::start_with(encrypted).await).await;
    let dyno = t.owner.dyno_create("dusk", &attached_by_heroku("bash")).await.unwrap();
    // A secret that is sent in plain text opens nothing, and is not used up.
    let mut plain = rendezvous(&dyno, "\r\n").await;
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).await.ok();
    assert!(!answer.starts_with(b"rendezvous"), "{answer:?}");

    // A client that checks the certificate.
    let (port, secret) = place(&dyno);
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-verify_hostname", "localhost", "-CAfile"])
        .arg(file("cert.pem"))
        .args(["-connect", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (mut input, mut output) = (client.stdin.take().unwrap(), client.stdout.take().unwrap());
    input.write_all(format!("{secret}\r\n").as_bytes()).await.unwrap();
    input.flush().await.unwrap();
    let mut greeting = [0; 12];
    output.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"rendezvous\r\n");
    let run = run_of(&t, &dyno).await;
    let mut process = process(&t, run).await;
    input.write_all(&[3]).await.unwrap();
    input.flush().await.unwrap();
    assert_eq!(said(&mut process).await, Some(('i', vec![3])));
    process.say("out").await.unwrap();
    process.exit(0).await.unwrap();
    t.driver.exit(run, 0);
    let mut rest = String::new();
    output.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "out");
}

#[tokio::test]
async fn herokus_clients_meet_at_the_rendezvous() {
    let t = deployed().await;
    for ending in ["\r\n", ""] {
        let dyno = t.owner.dyno_create("dusk", &attached_by_heroku("bash")).await.unwrap();
        let mut stream = rendezvous(&dyno, ending).await;
        let mut greeting = [0; 12];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"rendezvous\r\n");
        let run = run_of(&t, &dyno).await;
        let mut process = process(&t, run).await;
        stream.write_all(&[3]).await.unwrap();
        assert_eq!(said(&mut process).await, Some(('i', vec![3])));
        process.say("out").await.unwrap();
        process.exit(0).await.unwrap();
        t.driver.exit(run, 0);
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "out");
        // It is used up.
        let mut again = rendezvous(&dyno, ending).await;
        let mut nothing = Vec::new();
        again.read_to_end(&mut nothing).await.ok();
        assert!(nothing.is_empty());
    }
}

#[tokio::test]
async fn secrets_that_nobody_uses_are_limited() {
    let t = deployed().await;
    t.app("dawn").await;
    for _ in 0..21 {
        // Nothing is started, so there is nothing to attach to.
        let refused = t.owner.dyno_create("dawn", &attached("bash")).await.unwrap_err();
        assert_eq!(refused.status, 422, "{refused:?}");
    }
    let exec = || t.owner.post("/apps/dusk/dynos/web.1", json!({}));
    for _ in 0..20 {
        assert_eq!(exec().await.status, 201);
    }
    let (status, _, message) = exec().await.error();
    assert!(status == 429 && message.contains("nobody has attached to"), "{message}");
}

#[tokio::test]
async fn a_suspension_stops_what_the_account_runs() {
    let t = deployed().await;
    let ada = somebody(&t, "ada").await;
    t.owner.post("/apps/dusk/collaborators", json!({ "user": "ada@example.com", "permissions": ["deploy"] })).await;
    let dyno = ada.dyno_create("dusk", &command("sleep 1000")).await.unwrap();
    run_of(&t, &dyno).await;
    assert_eq!(t.owner.patch("/users/ada@example.com", json!({ "suspended": true })).await.status, 200);
    assert_eq!(ended(&t, &dyno).await.exit_status, Some(128 + 15));
}

#[tokio::test]
async fn they_go_with_their_app() {
    let t = deployed().await;
    let dyno = t.owner.dyno_create("dusk", &command("sleep 1000")).await.unwrap();
    let run = run_of(&t, &dyno).await;
    t.owner.ask("DELETE", "/apps/dusk").await;
    until("the dyno is gone", async || match dyno::Driver::status(&*t.driver, run).await.unwrap() {
        None => Ok(()),
        some => Err(format!("{some:?}")),
    })
    .await;
}

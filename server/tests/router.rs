//! The router of an entire platform: its secrets, its privileges, and its protection from outsiders.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use world::{World, wait_until};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const ROUTER: u32 = dyno::uids::ROUTER;

fn environment(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', "\n")
}

fn status(pid: i32) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

#[test]
fn the_router_knows_no_secret_and_has_no_rights() {
    let world = World::new();
    let mut command = world.command("up");
    command.env("WHARF_MASTER_KEY", KEY).env("A_SECRET_OF_THE_OPERATOR", "hunter2");
    let mut up = world.start_command(command);
    up.wait_for("Sign in");
    let (router, server) = (world.pid_of("router"), world.pid_of("server"));

    // Only `up` and the server have the key; no process has secrets that it does not need.
    assert!(environment(server).contains("WHARF_MASTER_KEY"));
    for (pid, line) in world.processes() {
        let env = environment(pid);
        if pid != up.pid().as_raw() {
            assert!(!env.contains("hunter2"), "{line}: {env}");
        }
        if pid != up.pid().as_raw() && pid != server {
            assert!(!env.contains(KEY) && !env.contains("DATABASE"), "{line}: {env}");
        }
    }
    let env = environment(router);
    for line in env.lines() {
        let name = line.split('=').next().unwrap();
        assert!(
            name.starts_with("WHARF_") || ["PATH", "LANG", "LC_ALL", "TZ", "RUST_BACKTRACE"].contains(&name),
            "{line}"
        );
    }

    for (name, expected) in [
        ("Uid", format!("{ROUTER} {ROUTER} {ROUTER} {ROUTER}")),
        ("Gid", format!("{ROUTER} {ROUTER} {ROUTER} {ROUTER}")),
        ("Groups", String::new()),
        ("CapInh", "0000000000000000".to_owned()),
        ("CapPrm", "0000000000000000".to_owned()),
        ("CapEff", "0000000000000000".to_owned()),
        ("CapBnd", "0000000000000000".to_owned()),
        ("CapAmb", "0000000000000000".to_owned()),
        ("NoNewPrivs", "1".to_owned()),
        ("Seccomp", "2".to_owned()),
    ] {
        // Every thread, because the kernel stores all of this per thread.
        for thread in fs::read_dir(format!("/proc/{router}/task")).unwrap().flatten() {
            let thread: i32 = thread.file_name().to_string_lossy().parse().unwrap();
            assert_eq!(status(thread)[name], expected, "{name}");
        }
    }
    for folder in [router::spool_dir(&world.data()), router::table_dir(&world.data())] {
        let meta = fs::metadata(&folder).unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o777), (ROUTER, 0o700), "{}", folder.display());
    }
    let soft = |pid: i32| -> u64 {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        line.split_whitespace().nth(3).unwrap().parse().unwrap()
    };
    assert!(soft(server) > 10_000 && soft(router) > 10_000, "{} {}", soft(server), soft(router));

    // After a kill it is restarted with its table, and accepts requests on its control socket.
    let app = world.deploy_web();
    assert_eq!(world.ask_host(&app, "/readme").trim(), "hello");
    kill(Pid::from_raw(router), Signal::SIGKILL).unwrap();
    up.wait_for("the router was killed by signal 9; restarting it");
    assert_eq!(world.ask_host(&app, "/readme").trim(), "hello");
    assert_eq!(status(world.pid_of("router"))["Uid"], format!("{ROUTER} {ROUTER} {ROUTER} {ROUTER}"));
    // Maintenance mode is in effect when the request that switches it has been answered.
    for (on, status) in [(true, 503), (false, 200), (true, 503), (false, 200)] {
        world.api("PATCH", &format!("/apps/{app}"), serde_json::json!({ "maintenance": on }));
        let answer = world.ask_as(&format!("{app}.localhost"), "GET", "/readme", b"").unwrap();
        assert_eq!(answer.status, status, "{on}: {}", answer.body);
    }
    let lines = || fs::read_dir(router::spool_dir(&world.data())).unwrap().count();
    wait_until("there are lines of the router", || lines() > 0);
    assert!(up.stop().success());
}

/// Clients that send requests continuously during an operation. Returns their unsuccessful responses.
fn failures_during(world: &World, app: &str, work: impl FnOnce()) -> Vec<String> {
    /// Stops the clients, even when `work` panics.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }

    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let host = format!("{app}.localhost");
    let client = || {
        let mut failed = Vec::new();
        while !stop.load(Relaxed) {
            match world.ask_as(&host, "GET", "/", b"") {
                Some(answer) if answer.status == 200 => {
                    answered.fetch_add(1, Relaxed);
                }
                Some(answer) => failed.push(format!("{}: {}", answer.status, answer.body)),
                None => failed.push("no answer".to_owned()),
            }
        }
        failed
    };
    let failed = thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(client)).collect();
        let stop = Stop(&stop);
        work();
        drop(stop);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert!(answered.load(Relaxed) > 100, "only {answered:?} were answered");
    failed
}

/// The app exits immediately on SIGTERM, so every request in progress would fail.
#[test]
fn no_request_is_lost_when_dynos_are_scaled_down_restarted_and_released() {
    let world = World::new();
    let mut up = world.up(&[]);
    let app = world.deploy_slow();
    let scale = |n: usize| drop(world.api("PATCH", &format!("/apps/{app}/formation/web"), json!({ "quantity": n })));
    // By id; includes those that are up.
    let dynos = || -> Option<(BTreeSet<String>, usize)> {
        let answer = world.ask_api("GET", &format!("/apps/{app}/dynos"), Value::Null)?;
        let dynos: Vec<Value> = serde_json::from_str(&answer.body).ok()?;
        let up = dynos.iter().filter(|dyno| dyno["state"] == "up").count();
        Some((dynos.iter().map(|dyno| dyno["id"].to_string()).collect(), up))
    };
    let are_up = |n: usize| {
        wait_until("the dynos are up and the others are gone", || {
            dynos().is_some_and(|(ids, up)| (ids.len(), up) == (n, n)) && world.slow_processes().len() == n
        });
    };
    assert_eq!(world.ask_host(&app, "/"), "none");
    let failed = failures_during(&world, &app, || {
        for n in [4, 1, 4, 2] {
            scale(n);
            are_up(n);
        }
        // The server may be killed in between.
        scale(1);
        kill(Pid::from_raw(world.pid_of("server")), Signal::SIGKILL).unwrap();
        are_up(1);
    });
    assert_eq!(failed, Vec::<String>::new());

    let failed = failures_during(&world, &app, || {
        scale(3);
        are_up(3);
        for (path, stay) in [("dynos/web.2", 2), ("dynos", 0)] {
            let (before, _) = dynos().unwrap();
            world.api("DELETE", &format!("/apps/{app}/{path}"), Value::Null);
            wait_until("there are other dynos", || {
                dynos().is_some_and(|(ids, up)| up == 3 && ids.intersection(&before).count() == stay)
            });
            are_up(3);
        }
    });
    assert_eq!(failed, Vec::<String>::new());

    let failed = failures_during(&world, &app, || {
        world.api("PATCH", &format!("/apps/{app}/config-vars"), json!({ "VERSION": "two" }));
        wait_until("the new release serves", || world.ask_host(&app, "/") == "two");
        are_up(3);
    });
    assert_eq!(failed, Vec::<String>::new());
    assert!(up.stop().success());
}

#[test]
fn a_stopping_dyno_keeps_its_stream_until_the_router_dies() {
    let world = World::new();
    let mut up = world.up(&[]);
    let app = world.deploy_slow();
    assert_eq!(world.ask_host(&app, "/"), "none");
    let mut stream = TcpStream::connect(("127.0.0.1", world.port)).unwrap();
    stream.write_all(format!("GET /stream HTTP/1.1\r\nHost: {app}.localhost\r\n\r\n").as_bytes()).unwrap();
    let mut more = [0; 1];
    stream.read_exact(&mut more).unwrap();

    world.api("PATCH", &format!("/apps/{app}/formation/web"), json!({ "quantity": 0 }));
    wait_until("the dyno gets no more requests", || {
        world.ask_as(&format!("{app}.localhost"), "GET", "/", b"").is_some_and(|answer| answer.body.contains("H14"))
    });
    assert_eq!(world.slow_processes().len(), 1);
    stream.read_exact(&mut more).unwrap();
    // Neither a new server nor a new router waits for what is no longer in progress.
    for role in ["server", "router"] {
        kill(Pid::from_raw(world.pid_of(role)), Signal::SIGKILL).unwrap();
        up.wait_for(&format!("the {role} was killed by signal 9; restarting it"));
    }
    wait_until("it is stopped", || world.slow_processes().is_empty());
    assert!(up.stop().success());
}

/// Files of an earlier version, which ran as root.
#[test]
fn a_router_that_ran_as_root_is_followed_by_one_that_does_not() {
    let world = World::new();
    let mut up = world.up(&["--keep-dynos"]);
    let app = world.deploy_web();
    assert_eq!(world.ask_host(&app, "/readme").trim(), "hello");
    assert!(up.stop().success());
    let table = router::table_dir(&world.data()).join("routes.json");
    let routes = fs::read(&table).unwrap();
    fs::remove_dir_all(router::table_dir(&world.data())).unwrap();
    fs::write(world.data().join("routes.json"), &routes).unwrap();
    let mut up = world.up(&[]);
    assert_eq!(world.ask_host(&app, "/readme").trim(), "hello");
    assert_eq!(fs::metadata(&table).unwrap().uid(), ROUTER);
    assert!(!world.data().join("routes.json").exists());
    assert!(up.stop().success());
}

#[test]
fn halves_of_requests_without_end_change_nothing_for_others() {
    router::raise_file_limit();
    let world = World::new();
    let mut up = world.up(&[]);
    let app = world.deploy_web();
    assert_eq!(world.ask_host(&app, "/readme").trim(), "hello");
    let app_half = format!("POST / HTTP/1.1\r\nHost: {app}.localhost\r\nContent-Length: 1000\r\n\r\nhalf");
    for half in [
        "",
        "GET / HTTP/1.1\r\nHost: local",
        "POST /apps HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf",
        "POST /x.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &app_half,
    ] {
        let mut open = Vec::new();
        for _ in 0..1100 {
            let mut stream = TcpStream::connect(("127.0.0.1", world.port)).unwrap();
            let _ = stream.write_all(half.as_bytes());
            open.push(stream);
        }
        for _ in 0..10 {
            assert_eq!(world.api("GET", "/account", Value::Null)["email"], "admin@wharf.localhost", "{half}");
            assert_eq!(world.ask_host(&app, "/readme").trim(), "hello", "{half}");
        }
    }
    assert!(up.stop().success());
}

#[test]
fn behind_tls_visitors_have_addresses_of_their_own() {
    let world = World::new();
    let mut up = world.up(&["--tls", "--trusted-proxies", "127.0.0.1"]);
    let ask = |address: &str, proto: &str, token: &str| {
        let auth = format!("Bearer {token}");
        let headers = [
            ("Accept", "application/json"),
            ("Authorization", auth.as_str()),
            ("X-Forwarded-For", address),
            ("X-Forwarded-Proto", proto),
        ];
        world.ask("GET", "/account", &headers, b"").unwrap()
    };
    // A client that guesses tokens until it is rate-limited.
    let mut told = 0;
    while told < 200 && ask("192.0.2.66", "https", "wrong").status != 429 {
        told += 1;
    }
    assert!(told < 200, "nobody stopped him");
    let other = ask("192.0.2.7", "https", &world.token());
    assert_eq!((other.status, other.headers["strict-transport-security"].as_str()), (200, "max-age=31536000"));
    // A client at the same address can still use a valid token.
    assert_eq!(ask("192.0.2.66", "https", &world.token()).status, 200);
    // Prepending other addresses does not change the client's identity.
    assert_eq!(ask("192.0.2.8, 192.0.2.66", "https", "wrong").status, 429);
    assert_eq!(ask("192.0.2.8", "https", "wrong").status, 401);
    let plain = ask("192.0.2.7", "http", &world.token());
    assert_eq!((plain.status, plain.headers["location"].as_str()), (308, "https://localhost/account"));
    assert!(up.stop().success());
}

#[test]
fn tls_without_a_trusted_proxy_is_reported() {
    let world = World::new();
    // The width of columns depends on their contents.
    let words = |text: &[u8]| String::from_utf8_lossy(text).split_whitespace().collect::<Vec<_>>().join(" ");
    let doctor = world.command("doctor").arg("--tls").output().unwrap();
    let said = words(&doctor.stdout);
    assert!(said.contains("warn proxies") && said.contains("--trusted-proxies is empty"), "{said}");
    let doctor = world.command("doctor").args(["--trusted-proxies", "10.0.0.0/8"]).output().unwrap();
    let said = words(&doctor.stdout);
    assert!(said.contains("ok proxies client addresses from 10.0.0.0/8 are trusted, except 10.231.0.0/16"), "{said}");
    let refused = world.command("doctor").args(["--trusted-proxies", "0.0.0.0/0"]).output().unwrap();
    assert!(!refused.status.success());
}

/// A privileged port is bound before the privileges are dropped.
#[test]
fn ports_below_1024_are_taken_before_the_rights_are_given_up() {
    let mut world = World::new();
    let free = (700..1000).find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
    world.port = free.unwrap();
    let mut up = world.up(&[]);
    assert_eq!(world.api("GET", "/account", Value::Null)["email"], "admin@wharf.localhost");
    assert_eq!(status(world.pid_of("router"))["Uid"], format!("{ROUTER} {ROUTER} {ROUTER} {ROUTER}"));
    assert!(up.stop().success());
}

/// It has no access to the file system and the machine, even if it is compromised.
#[test]
fn the_socket_of_the_server_is_for_root_and_the_router() {
    let world = World::new();
    let mut up = world.up(&[]);
    let run = fs::read_dir("/run/wharf").unwrap().flatten().map(|entry| entry.path());
    let sockets = run.map(|run| run.join("server.sock")).filter(|socket| Path::exists(socket));
    let mut looked = 0;
    for socket in sockets {
        let meta = fs::metadata(&socket).unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o777), (ROUTER, 0o600), "{}", socket.display());
        looked += 1;
    }
    assert!(looked > 0);
    let mut stream = TcpStream::connect(("127.0.0.1", world.port)).unwrap();
    stream.write_all(b"POST /internal/pushes HTTP/1.0\r\nHost: localhost\r\nX-Wharf-Push: x\r\n\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 4") || said.starts_with("HTTP/1.0 4"), "{said}");
    assert!(up.stop().success());
}

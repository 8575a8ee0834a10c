//! The entire server: `wharfd up` with its own data directory, tested from outside.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod world;

use std::{collections::BTreeMap, fs, os::unix::process::ExitStatusExt, process::Command};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use world::{World, mode, wait_until};

#[test]
fn one_command_brings_up_a_platform_that_comes_back_and_remembers() {
    let world = World::new();
    let mut up = world.up(&[]);

    // Its output, and its files on disk.
    let said = up.said();
    let link = said.lines().find_map(|l| l.split_once("Sign in   ")).unwrap().1.trim().to_owned();
    let origin = format!("http://localhost:{}", world.port);
    assert!(said.contains(&format!("Console   {origin}\n")), "{said}");
    let data = world.data();
    assert_eq!((mode(&data), mode(&data.join("postgres")), mode(&data.join("dynos"))), (0o711, 0o700, 0o700));
    assert_eq!((mode(&data.join("admin-token")), mode(&data.join("master.key"))), (0o600, 0o600));

    // The API with the token, pages with the link.
    assert_eq!(world.api("GET", "/account", Value::Null)["email"], "admin@wharf.localhost");
    let stranger = world.ask("GET", "/apps?a=b", &[("Accept", "text/html")], b"").unwrap();
    assert_eq!((stranger.status, stranger.headers["location"].as_str()), (303, "/login?next=%2Fapps%3Fa%3Db"));
    let path = link.strip_prefix(&origin).unwrap();
    let asked = world.ask("GET", path, &[("Accept", "text/html")], b"").unwrap();
    assert_eq!((asked.status, asked.headers["referrer-policy"].as_str()), (200, "strict-origin"), "{}", asked.body);
    assert_eq!((asked.headers["cache-control"].as_str(), asked.headers.get("set-cookie")), ("no-store", None));
    assert!(asked.body.contains("Sign in as ") && asked.body.contains("admin@wharf.localhost"), "{}", asked.body);
    let press = [("Accept", "text/html"), ("Origin", &*origin)];
    let signed_in = world.ask("POST", path, &press, b"").unwrap();
    let cookie = signed_in.headers["set-cookie"].split(';').next().unwrap().to_owned();
    let page = world.ask("GET", "/apps", &[("Accept", "text/html"), ("Cookie", &cookie)], b"").unwrap();
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("<!DOCTYPE html>") && page.body.contains("</html>"), "{}", page.body);
    let policy = &page.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'; script-src 'nonce-"), "{policy}");
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    let scripts = page.body.matches("<script").count();
    assert!(page.body.matches(&format!("nonce=\"{nonce}\"")).count() >= scripts, "every script has the nonce");
    let again = world.ask("POST", path, &press, b"").unwrap();
    assert_eq!(again.headers["location"], "/login?error=link", "a link works once");
    let style = page.body.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let css = world.ask("GET", style, &[("Accept-Encoding", "br")], b"").unwrap();
    assert_eq!((css.status, css.headers["content-type"].as_str()), (200, "text/css; charset=utf-8"));

    // A second one on the directory or on the port fails with instructions.
    let second = world.refusal(&mut world.command("up"));
    assert!(second.contains(&format!("process {}", up.child.id())) && second.contains("--data"), "{second}");
    let mut other = World::new();
    other.port = world.port;
    let taken = other.refusal(&mut other.command("up"));
    assert!(taken.contains(&format!("Port {} is in use by", world.port)) && taken.contains("--listen"), "{taken}");

    // The server is restarted automatically, and can create another link.
    let app = world.api("POST", "/apps", json!({}))["name"].as_str().unwrap().to_owned();
    let server = world.pid_of("server");
    kill(Pid::from_raw(server), Signal::SIGKILL).unwrap();
    up.wait_for("the server was killed by signal 9; restarting it");
    wait_until("the server answers again", || {
        let auth = format!("Bearer {}", world.token());
        let answer = world.ask("GET", "/account", &[("Accept", "application/json"), ("Authorization", &auth)], b"");
        answer.is_some_and(|a| a.status == 200)
    });
    assert_ne!(world.pid_of("server"), server);
    // Without `--listen`: the platform knows its address.
    let mut login_link = Command::new(env!("CARGO_BIN_EXE_wharfd"));
    let done = login_link.arg("login-link").arg("--data").arg(world.data()).output().unwrap();
    assert!(String::from_utf8_lossy(&done.stdout).starts_with(&format!("{origin}/login/")), "{done:?}");
    let doctor = world.command("doctor").output().unwrap();
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("none has failed recently"), "{doctor:?}");

    // It stops everything that it started, and keeps its data.
    assert!(up.stop().success());
    assert_eq!(world.processes(), BTreeMap::new());
    let mut up = world.up(&[]);
    assert_eq!(world.api("GET", &format!("/apps/{app}"), Value::Null)["name"], app.as_str());
    assert!(up.stop().success());
}

#[test]
fn dynos_outlive_the_platform_when_they_shall() {
    let world = World::new();
    let mut up = world.up(&["--keep-dynos"]);
    let app = world.deploy();
    wait_until("the dyno is up", || world.dyno_is_up(&app));
    wait_until("its program runs", || world.sleeper().is_some());
    let dyno = world.sleeper().unwrap();

    // `kill -9` of `up`: the next one adopts the running processes, and the dyno is not affected.
    let (router, postgres) =
        (world.pid_of("router"), fs::read_to_string(world.data().join("postgres/postmaster.pid")).unwrap());
    kill(up.pid(), Signal::SIGKILL).unwrap();
    up.child.wait().unwrap();
    let mut up = world.up(&["--keep-dynos"]);
    assert_eq!(world.pid_of("router"), router, "the router was taken up");
    let now = fs::read_to_string(world.data().join("postgres/postmaster.pid")).unwrap();
    assert_eq!(now.lines().next(), postgres.lines().next(), "Postgres was taken up");
    wait_until("the dyno is up", || world.dyno_is_up(&app));
    assert_eq!(world.sleeper(), Some(dyno));

    // A stop for an upgrade keeps only the dynos running.
    assert!(up.stop().success());
    let left: Vec<String> = world.processes().into_values().filter(|line| !line.starts_with("wharfd dyno")).collect();
    assert!(left.iter().all(|line| !line.contains("postgres") && !line.contains("wharfd")), "{left:?}");
    assert_eq!(world.sleeper(), Some(dyno));

    // A full stop ends them, too.
    let mut up = world.up(&[]);
    wait_until("the dyno is up", || world.dyno_is_up(&app));
    assert_eq!(world.sleeper(), Some(dyno));
    assert!(up.stop().success());
    assert_eq!(world.sleeper(), None);
}

#[test]
fn a_database_that_is_killed_comes_back_and_nothing_is_half_done() {
    let world = World::new();
    let mut up = world.up(&[]);
    let app = world.deploy();
    wait_until("its program runs", || world.sleeper().is_some());
    let dyno = world.sleeper().unwrap();
    let postgres = || -> i32 {
        let file = fs::read_to_string(world.data().join("postgres/postmaster.pid")).unwrap();
        file.lines().next().unwrap().trim().parse().unwrap()
    };
    let vars = format!("/apps/{app}/config-vars");
    let set = |n: usize| world.ask_api("PATCH", &vars, json!({ "ROUND": n.to_string() })).map(|answer| answer.status);
    let killed = postgres();
    kill(Pid::from_raw(killed), Signal::SIGKILL).unwrap();
    // Changes in the middle of it: each is done or rejected.
    let during: Vec<_> = (1..=20).map(set).collect();
    assert!(during.iter().flatten().all(|status| *status == 200 || *status >= 500), "{during:?}");
    up.wait_for("the Postgres was killed by signal 9; restarting it");
    wait_until("the API answers", || world.ask_api("GET", &vars, Value::Null).is_some_and(|a| a.status == 200));
    assert_ne!(postgres(), killed);
    if during.iter().all(|status| *status != Some(200)) {
        assert_eq!(world.sleeper(), Some(dyno), "no dyno was affected");
    }
    wait_until("changes are made", || set(21) == Some(200));
    assert_eq!(world.api("GET", &vars, Value::Null)["ROUND"], "21");
    // Each change has its release, and is in the audit log.
    let releases = world.api("GET", &format!("/apps/{app}/releases"), Value::Null);
    let mut versions: Vec<_> = releases.as_array().unwrap().iter().map(|one| one["version"].as_u64()).collect();
    versions.sort();
    assert_eq!(versions, (1..=versions.len() as u64).map(Some).collect::<Vec<_>>());
    assert!(world.api("GET", "/events/verify", Value::Null)["broken_at"].is_null());
    wait_until("the dyno is up", || world.dyno_is_up(&app));
    assert!(up.stop().success());
}

#[test]
fn backups_and_restores_that_are_killed_are_neither_complete_nor_started() {
    let (world, other) = (World::new(), World::new());
    let mut up = world.up(&[]);
    let app = world.api("POST", "/apps", json!({}))["name"].as_str().unwrap().to_owned();
    let (target, passphrase) = (world.dir.path().join("target"), world.dir.path().join("passphrase"));
    fs::write(&passphrase, "correct horse battery staple\n").unwrap();
    let command = |world: &World, role: &str| {
        let mut command = world.command(role);
        command.arg(&target).arg("--passphrase-file").arg(&passphrase);
        command
    };

    // A backup reads this file after it has dumped the database, and before it writes the manifest: here it waits.
    let (token, aside) = (world.data().join("admin-token"), world.dir.path().join("admin-token"));
    fs::rename(&token, &aside).unwrap();
    assert!(Command::new("mkfifo").arg(&token).status().unwrap().success());
    let mut backup = world.start_command(command(&world, "backup"));
    backup.wait_for("dumping the database");
    assert_eq!(backup.kill().signal(), Some(9));
    fs::rename(&aside, &token).unwrap();
    assert_eq!(fs::read_dir(target.join("backups")).map_or(0, Iterator::count), 0);
    let refused = other.refusal(&mut command(&other, "restore"));
    assert!(refused.contains("There are no backups in"), "{refused}");
    // It is not in the way of the next one.
    let done = command(&world, "backup").output().unwrap();
    assert!(done.status.success() && String::from_utf8_lossy(&done.stdout).contains("verified"), "{done:?}");
    let backups = world.api("GET", "/backups", Value::Null);
    let mut states: Vec<_> = backups.as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    states.sort();
    assert_eq!(states, ["failed", "verified"]);
    assert!(up.stop().success());

    // A restore, with its files written and its database running.
    let mut restore = other.start_command(command(&other, "restore"));
    wait_until("its database runs", || other.data().join("restoring/postgres/postmaster.pid").exists());
    assert_eq!(restore.kill().signal(), Some(9));
    let key = fs::read_to_string(world.data().join("master.key")).unwrap();
    for refused in [
        other.refusal(&mut other.command("up")),
        other.refusal(other.command("up").env("WHARF_MASTER_KEY", key.trim())),
    ] {
        assert!(refused.contains("an incomplete restore"), "{refused}");
    }
    let done = command(&other, "restore").output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let mut up = other.up(&[]);
    assert_eq!(other.api("GET", &format!("/apps/{app}"), Value::Null)["name"], app.as_str());
    assert!(up.stop().success());
}

#[test]
fn unusable_settings_have_a_message() {
    let world = World::new();
    let check = |command: &mut Command, words: &str| {
        let said = world.refusal(command);
        assert!(said.contains(words), "{said:?} should say {words:?}");
    };
    fs::write(world.data(), "").unwrap();
    check(&mut world.command("up"), "is a file");
    fs::remove_file(world.data()).unwrap();
    fs::create_dir_all(world.data().join("postgres")).unwrap();
    fs::write(world.data().join("postgres/PG_VERSION"), "7\n").unwrap();
    check(&mut world.command("up"), "apt-get install postgresql-7");
    check(world.command("up").env("PATH", ""), "apt-get install postgresql-7");
    check(world.command("login-link").env("PATH", ""), "No running Wharf uses the data directory");
    fs::write(world.data().join("postgres/PG_VERSION"), "").unwrap();
    check(&mut world.command("up"), "is damaged");
    let doctor = world.command("doctor").output().unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("BAD   data") && said.contains("is damaged"), "{said}");
}

//! The whole server: `wharfd up` on a directory of its own, looked at from outside.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

/// Longer than anything takes on a busy machine; a test that waits this long has failed.
const DEADLINE: Duration = Duration::from_secs(180);

/// A machine's worth of Wharf, in a directory of its own. Everything ends with it.
struct World {
    dir: tempfile::TempDir,
    port: u16,
    starts: AtomicU32,
}

/// A `wharfd up` that was started.
struct Up {
    child: Child,
    log: PathBuf,
}

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl World {
    fn new() -> World {
        assert!(nix::unistd::geteuid().is_root(), "these tests start the platform, which has to run as root");
        let dir = tempfile::Builder::new()
            .prefix("wharf-up-")
            .permissions(fs::Permissions::from_mode(0o711))
            .tempdir()
            .unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        World { dir, port, starts: AtomicU32::new(0) }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, role: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharfd"));
        command.arg(role).arg("--data").arg(self.data()).args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        command.stdin(Stdio::null());
        command
    }

    fn start(&self, options: &[&str]) -> Up {
        let log = self.dir.path().join(format!("up-{}.log", self.starts.fetch_add(1, Relaxed)));
        let out = File::create(&log).unwrap();
        let child = self.command("up").args(options).stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
        Up { child, log }
    }

    /// Starts it and waits until it is there.
    fn up(&self, options: &[&str]) -> Up {
        let mut up = self.start(options);
        up.wait_for("Sign in");
        up
    }

    /// What a start says that must not succeed.
    fn refusal(&self, command: &mut Command) -> String {
        let done = command.output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{said}");
        said
    }

    fn token(&self) -> String {
        fs::read_to_string(self.data().join("admin-token")).unwrap().trim().to_owned()
    }

    /// Asks over the port, as any client does.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n", self.port);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).ok()?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).ok()?;
        read_answer(&String::from_utf8_lossy(&all))
    }

    /// Asks the API as the first account; the answer must be good.
    fn api(&self, method: &str, path: &str, body: Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let auth = format!("Bearer {}", self.token());
        let headers = [
            ("Accept", "application/vnd.heroku+json; version=3"),
            ("Authorization", auth.as_str()),
            ("Content-Type", "application/json"),
        ];
        let answer = self.ask(method, path, &headers, body.as_bytes()).unwrap();
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Processes of this world: those that have its directory in their environment or arguments.
    fn processes(&self) -> BTreeMap<i32, String> {
        let mark = self.dir.path().to_str().unwrap().to_owned();
        let mut found = BTreeMap::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let (line, env) = (read("cmdline"), read("environ"));
            let has = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(&mark);
            if pid != std::process::id() as i32 && !line.is_empty() && (has(&line) || has(&env)) {
                found.insert(pid, String::from_utf8_lossy(&line).replace('\0', " "));
            }
        }
        found
    }

    fn pid_of(&self, role: &str) -> i32 {
        let found = self.processes().into_iter().find(|(_, line)| line.trim() == format!("wharfd {role}"));
        found.unwrap_or_else(|| panic!("no {role} runs: {:?}", self.processes())).0
    }

    /// A one-process app that runs from a slug of our own making; its name.
    fn deploy(&self) -> String {
        let app = self.api("POST", "/apps", json!({}))["name"].as_str().unwrap().to_owned();
        let slug =
            self.api("POST", &format!("/apps/{app}/slugs"), json!({ "process_types": { "worker": "sleep 100000" } }));
        let folder = self.dir.path().join("slug");
        fs::create_dir_all(folder.join("app")).unwrap();
        fs::write(folder.join("app/readme"), "hello").unwrap();
        let packed =
            Command::new("tar").arg("czf").arg("-").arg("-C").arg(&folder).arg("./app").output().unwrap().stdout;
        let url = slug["blob"]["url"].as_str().unwrap();
        let path = &url[url.find("/blobs").unwrap()..];
        assert_eq!(self.ask("PUT", path, &[], &packed).unwrap().status, 200);
        self.api("POST", &format!("/apps/{app}/releases"), json!({ "slug": slug["id"] }));
        self.api("PATCH", &format!("/apps/{app}/formation/worker"), json!({ "quantity": 1 }));
        app
    }

    fn dyno_is_up(&self, app: &str) -> bool {
        let dynos = self.api("GET", &format!("/apps/{app}/dynos"), Value::Null);
        dynos.as_array().unwrap().iter().any(|d| d["state"] == "up")
    }

    /// The sleeping process of the app, as the machine sees it.
    fn sleeper(&self) -> Option<i32> {
        let line = |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let pids =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_string_lossy().parse().ok());
        pids.into_iter().find(|pid| line(pid) == b"sleep\x00100000\x00")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for n in 0..self.starts.load(Relaxed) {
                let log = fs::read_to_string(self.dir.path().join(format!("up-{n}.log"))).unwrap_or_default();
                eprintln!("--- what start {n} said\n{log}");
            }
        }
        for pid in self.processes().keys() {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
    }
}

impl Up {
    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn wait_for(&mut self, words: &str) {
        let begun = Instant::now();
        while !self.said().contains(words) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("ended with {status} before it said {words:?}");
            }
            assert!(begun.elapsed() < DEADLINE, "did not say {words:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    fn stop(&mut self) -> ExitStatus {
        kill(self.pid(), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap()
    }
}

fn read_answer(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: BTreeMap<String, String> =
        lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
    let chunked = headers.get("transfer-encoding").is_some_and(|e| e == "chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Some(Answer { status, headers, body })
}

/// Good enough for text without line ends that look like the size of a chunk.
fn unchunked(body: &str) -> String {
    let sizes = |part: &&str| u64::from_str_radix(part.trim(), 16).is_err();
    body.split("\r\n").filter(sizes).collect()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < DEADLINE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn one_command_brings_up_a_platform_that_comes_back_and_remembers() {
    let world = World::new();
    let mut up = world.up(&[]);

    // What it prints, and what it leaves on the disk.
    let said = up.said();
    let link = said.lines().find_map(|l| l.split_once("Sign in   ")).unwrap().1.trim().to_owned();
    let origin = format!("http://localhost:{}", world.port);
    assert!(said.contains(&format!("Console   {origin}\n")), "{said}");
    let data = world.data();
    assert_eq!((mode(&data), mode(&data.join("postgres")), mode(&data.join("dynos"))), (0o711, 0o700, 0o700));
    assert_eq!((mode(&data.join("admin-token")), mode(&data.join("master.key"))), (0o600, 0o600));

    // The API by token, pages by the link.
    assert_eq!(world.api("GET", "/account", Value::Null)["email"], "admin@wharf.localhost");
    let stranger = world.ask("GET", "/apps?a=b", &[("Accept", "text/html")], b"").unwrap();
    assert_eq!((stranger.status, stranger.headers["location"].as_str()), (303, "/login?next=%2Fapps%3Fa%3Db"));
    let path = link.strip_prefix(&origin).unwrap();
    let signed_in = world.ask("GET", path, &[("Accept", "text/html")], b"").unwrap();
    let cookie = signed_in.headers["set-cookie"].split(';').next().unwrap().to_owned();
    let page = world.ask("GET", "/apps", &[("Accept", "text/html"), ("Cookie", &cookie)], b"").unwrap();
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("<!DOCTYPE html>") && page.body.contains("</html>"), "{}", page.body);
    let policy = &page.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'; script-src 'nonce-"), "{policy}");
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    let scripts = page.body.matches("<script").count();
    assert!(page.body.matches(&format!("nonce=\"{nonce}\"")).count() >= scripts, "every script has the nonce");
    let again = world.ask("GET", path, &[("Accept", "text/html")], b"").unwrap();
    assert_eq!(again.headers["location"], "/login?error=link", "a link works once");
    let style = page.body.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let css = world.ask("GET", style, &[("Accept-Encoding", "br")], b"").unwrap();
    assert_eq!((css.status, css.headers["content-type"].as_str()), (200, "text/css; charset=utf-8"));

    // A second one on the directory, or on the port, is told what to do.
    let second = world.refusal(&mut world.command("up"));
    assert!(second.contains(&format!("process {}", up.child.id())) && second.contains("--data"), "{second}");
    let mut other = World::new();
    other.port = world.port;
    let taken = other.refusal(&mut other.command("up"));
    assert!(taken.contains(&format!("Port {} is taken by", world.port)) && taken.contains("--listen"), "{taken}");

    // The server comes back by itself, and another link can be had.
    let app = world.api("POST", "/apps", json!({}))["name"].as_str().unwrap().to_owned();
    let server = world.pid_of("server");
    kill(Pid::from_raw(server), Signal::SIGKILL).unwrap();
    up.wait_for("the server was killed by signal 9; starting it again");
    wait_until("the server answers again", || {
        let auth = format!("Bearer {}", world.token());
        let answer = world.ask("GET", "/account", &[("Accept", "application/json"), ("Authorization", &auth)], b"");
        answer.is_some_and(|a| a.status == 200)
    });
    assert_ne!(world.pid_of("server"), server);
    let done = world.command("login-link").output().unwrap();
    assert!(String::from_utf8_lossy(&done.stdout).starts_with(&format!("{origin}/login/")), "{done:?}");

    // It stops with everything it started, and remembers.
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
    let dyno = world.sleeper().unwrap();

    // `kill -9` of `up`: the next one takes up what runs, and the dyno notices nothing.
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

    // A stop for an upgrade leaves dynos alone, and nothing else.
    assert!(up.stop().success());
    let left: Vec<String> = world.processes().into_values().filter(|line| !line.starts_with("wharfd dyno")).collect();
    assert!(left.iter().all(|line| !line.contains("postgres") && !line.contains("wharfd")), "{left:?}");
    assert_eq!(world.sleeper(), Some(dyno));

    // A stop for good ends them too.
    let mut up = world.up(&[]);
    wait_until("the dyno is up", || world.dyno_is_up(&app));
    assert_eq!(world.sleeper(), Some(dyno));
    assert!(up.stop().success());
    assert_eq!(world.sleeper(), None);
}

#[test]
fn what_cannot_be_used_is_said_in_a_sentence() {
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
    check(world.command("login-link").env("PATH", ""), "Wharf does not answer");
    fs::write(world.data().join("postgres/PG_VERSION"), "").unwrap();
    check(&mut world.command("up"), "is damaged");
    let doctor = world.command("doctor").output().unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("BAD   data") && said.contains("is damaged"), "{said}");
}

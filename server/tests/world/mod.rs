//! A `wharfd up` with its own directory and port, and functions to test it from outside.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod repo;

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

/// Longer than any operation takes on a busy machine; a test that waits this long has failed.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// A complete platform in its own directory. Everything ends when it is dropped.
pub struct World {
    pub dir: tempfile::TempDir,
    pub port: u16,
    starts: AtomicU32,
}

/// A program that takes 20 ms per request, exits immediately on SIGTERM, and responds with the value of `VERSION`; to
/// `/stream`, with an endless stream.
const SLOW: &str = r#"
import http.server, os, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/stream":
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            while True:
                self.wfile.write(b"more\n")
                time.sleep(0.1)
        time.sleep(0.02)
        body = os.environ.get("VERSION", "none").encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def log_message(self, *args):
        pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

Server(("", int(sys.argv[1])), Handler).serve_forever()
"#;

/// A started `wharfd up`.
pub struct Up {
    pub child: Child,
    log: PathBuf,
}

pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl World {
    pub fn new() -> World {
        assert!(nix::unistd::geteuid().is_root(), "these tests start the platform, which has to run as root");
        let dir = tempfile::Builder::new()
            .prefix("wharf-up-")
            .permissions(fs::Permissions::from_mode(0o711))
            .tempdir()
            .unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        World { dir, port, starts: AtomicU32::new(0) }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn command(&self, role: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharfd"));
        command.arg(role).arg("--data").arg(self.data()).args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        command.stdin(Stdio::null());
        command
    }

    pub fn start(&self, options: &[&str]) -> Up {
        let mut command = self.command("up");
        command.args(options);
        self.start_command(command)
    }

    pub fn start_command(&self, mut command: Command) -> Up {
        let log = self.dir.path().join(format!("up-{}.log", self.starts.fetch_add(1, Relaxed)));
        let out = File::create(&log).unwrap();
        let child = command.stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
        Up { child, log }
    }

    /// Starts it and waits until it is ready.
    pub fn up(&self, options: &[&str]) -> Up {
        let mut up = self.start(options);
        up.wait_for("Sign in");
        up
    }

    /// The output of a start that must fail.
    pub fn refusal(&self, command: &mut Command) -> String {
        let done = command.output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{said}");
        said
    }

    pub fn token(&self) -> String {
        fs::read_to_string(self.data().join("admin-token")).unwrap().trim().to_owned()
    }

    /// Sends a request to the port, as any client does.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
        self.ask_at(&format!("localhost:{}", self.port), method, path, headers, body)
    }

    /// The same, for another host.
    pub fn ask_as(&self, host: &str, method: &str, path: &str, body: &[u8]) -> Option<Answer> {
        self.ask_at(host, method, path, &[], body)
    }

    fn ask_at(&self, host: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).ok()?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).ok()?;
        read_answer(&String::from_utf8_lossy(&all))
    }

    /// Sends a request to the API as the first account; it must succeed.
    pub fn api(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.ask_api(method, path, body).unwrap();
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Sends a request to the API as the first account; the server may be down.
    pub fn ask_api(&self, method: &str, path: &str, body: Value) -> Option<Answer> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let auth = format!("Bearer {}", self.token());
        let headers = [
            ("Accept", "application/vnd.heroku+json; version=3"),
            ("Authorization", auth.as_str()),
            ("Content-Type", "application/json"),
        ];
        self.ask(method, path, &headers, body.as_bytes())
    }

    /// The first successful response of an app.
    pub fn ask_host(&self, app: &str, path: &str) -> String {
        let mut body = String::new();
        wait_until("the app answers", || {
            let answer = self.ask_at(&format!("{app}.localhost"), "GET", path, &[], b"");
            let Some(answer) = answer.filter(|answer| answer.status == 200) else { return false };
            body = answer.body;
            true
        });
        body
    }

    /// The processes of this world: those with its directory in their environment or arguments.
    pub fn processes(&self) -> BTreeMap<i32, String> {
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

    /// The git processes with this command, of any world.
    pub fn processes_of(&self, work: &str) -> usize {
        let lines =
            fs::read_dir("/proc").unwrap().flatten().map(|e| fs::read(e.path().join("cmdline")).unwrap_or_default());
        lines.filter(|line| line.starts_with(b"git") && String::from_utf8_lossy(line).contains(work)).count()
    }

    pub fn pid_of(&self, role: &str) -> i32 {
        let found = self.processes().into_iter().find(|(_, line)| line.trim() == format!("wharfd {role}"));
        found.unwrap_or_else(|| panic!("no {role} runs: {:?}", self.processes())).0
    }

    /// Creates an app with one process type and an uploaded slug; returns its name.
    pub fn deploy(&self) -> String {
        self.deploy_as("worker", "sleep 100000")
    }

    /// An app that serves the files of its slug.
    pub fn deploy_web(&self) -> String {
        self.deploy_as("web", "exec python3 -m http.server $PORT")
    }

    /// An app that takes 20 ms per request, and exits immediately on SIGTERM.
    pub fn deploy_slow(&self) -> String {
        self.deploy_as("web", "exec python3 slow.py $PORT")
    }

    fn deploy_as(&self, process: &str, command: &str) -> String {
        let app = self.release(json!({ process: command }));
        self.api("PATCH", &format!("/apps/{app}/formation/{process}"), json!({ "quantity": 1 }));
        app
    }

    /// Creates an app with a release of these process types; returns its name.
    pub fn release(&self, types: Value) -> String {
        let app = self.api("POST", "/apps", json!({}))["name"].as_str().unwrap().to_owned();
        let slug = self.api("POST", &format!("/apps/{app}/slugs"), json!({ "process_types": types }));
        let folder = self.dir.path().join("slug");
        fs::create_dir_all(folder.join("app")).unwrap();
        fs::write(folder.join("app/readme"), "hello").unwrap();
        fs::write(folder.join("app/slow.py"), SLOW).unwrap();
        let packed =
            Command::new("tar").arg("czf").arg("-").arg("-C").arg(&folder).arg("./app").output().unwrap().stdout;
        let url = slug["blob"]["url"].as_str().unwrap();
        let path = &url[url.find("/blobs").unwrap()..];
        assert_eq!(self.ask("PUT", path, &[], &packed).unwrap().status, 200);
        self.api("POST", &format!("/apps/{app}/releases"), json!({ "slug": slug["id"] }));
        app
    }

    pub fn dyno_is_up(&self, app: &str) -> bool {
        let dynos = self.api("GET", &format!("/apps/{app}/dynos"), Value::Null);
        dynos.as_array().unwrap().iter().any(|d| d["state"] == "up")
    }

    /// The processes of [`deploy_slow`](Self::deploy_slow), by their ids on the host.
    pub fn slow_processes(&self) -> Vec<i32> {
        let line = |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let pids =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_string_lossy().parse().ok());
        pids.filter(|pid| line(pid).starts_with(b"python3\0slow.py\0")).collect()
    }

    /// The sleeping process of the app, by its id on the host.
    pub fn sleeper(&self) -> Option<i32> {
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
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub fn wait_for(&mut self, words: &str) {
        let begun = Instant::now();
        while !self.said().contains(words) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("ended with {status} before it said {words:?}");
            }
            assert!(begun.elapsed() < DEADLINE, "did not say {words:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) -> ExitStatus {
        kill(self.pid(), Signal::SIGKILL).unwrap();
        self.child.wait().unwrap()
    }

    pub fn stop(&mut self) -> ExitStatus {
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

/// Sufficient for text without lines that look like the size of a chunk.
fn unchunked(body: &str) -> String {
    let sizes = |part: &&str| u64::from_str_radix(part.trim(), 16).is_err();
    body.split("\r\n").filter(sizes).collect()
}

pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < DEADLINE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

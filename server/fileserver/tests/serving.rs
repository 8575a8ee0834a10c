//! The file server over TCP.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server that runs until it is dropped.
struct Server {
    process: Child,
    port: u16,
    dir: TempDir,
}

struct Reply {
    status: u16,
    fields: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Reply {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Server {
    fn start(files: &[(&str, &str)]) -> Server {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(env!("CARGO_BIN_EXE_fileserver"))
            .arg(dir.path())
            .env("PORT", port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { process, port, dir };
        server.wait_until(true);
        server
    }

    /// Waits until the server accepts connections, or no longer does.
    fn wait_until(&self, listens: bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() != listens {
            assert!(Instant::now() < deadline, "the server does not {}", if listens { "listen" } else { "stop" });
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn get(&self, target: &str) -> Reply {
        self.ask(target, "")
    }

    fn ask(&self, target: &str, fields: &str) -> Reply {
        let mut stream = self.connect();
        exchange(&mut stream, "GET", target, fields)
    }

    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut out = Vec::new();
        stream.read_to_end(&mut out).unwrap();
        String::from_utf8_lossy(&out).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn exchange(stream: &mut TcpStream, method: &str, target: &str, fields: &str) -> Reply {
    let request = format!("{method} {target} HTTP/1.1\r\nHost: site.example\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    read_reply(stream, method == "HEAD")
}

fn read_reply(stream: &mut TcpStream, head_only: bool) -> Reply {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let fields: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = if head_only || status == 304 { 0 } else { fields["content-length"].parse().unwrap() };
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    Reply { status, fields, body }
}

fn site() -> Server {
    Server::start(&[
        ("index.html", "<h1>home</h1>"),
        ("404.html", "lost"),
        ("about.html", "about"),
        ("blog/index.html", "blog"),
        ("a b&ü.txt", "spaces"),
        ("style.css", &"body { color: red }\n".repeat(100)),
        ("app.js", "0123456789"),
        (".env", "SECRET=1"),
        (".git/config", "secret"),
        (".well-known/security.txt", "contact"),
        ("Procfile", "web: x"),
        ("empty.txt", ""),
    ])
}

#[test]
fn files_and_directories() {
    let server = site();
    for (target, status, body) in [
        ("/", 200, "<h1>home</h1>"),
        ("/?q=1#f", 200, "<h1>home</h1>"),
        ("/about", 200, "about"),
        ("/about.html", 200, "about"),
        ("/blog/", 200, "blog"),
        ("//blog//", 200, "blog"),
        ("/a%20b&%C3%BC.txt", 200, "spaces"),
        ("/empty.txt", 200, ""),
        ("/.well-known/security.txt", 200, "contact"),
        ("/missing", 404, "lost"),
        ("/.env", 404, "lost"),
        ("/.git/config", 404, "lost"),
        ("/Procfile", 404, "lost"),
        ("/about/", 404, "lost"),
        ("/../etc/passwd", 400, ""),
        ("/%2e%2e/%2e%2e/etc/passwd", 400, ""),
        ("/%00", 400, ""),
        ("/%zz", 400, ""),
        ("/%", 400, ""),
        ("/\\..\\x", 400, ""),
    ] {
        let reply = server.get(target);
        assert_eq!((reply.status, reply.text()), (status, body), "{target}");
    }
    let reply = server.get("/blog?a=b");
    assert_eq!((reply.status, reply.fields["location"].as_str()), (301, "/blog/?a=b"));
    let reply = server.get("//blog");
    assert_eq!(reply.fields["location"], "/blog/", "never to another host");
}

#[test]
fn headers_describe_the_file() {
    let server = site();
    let css = server.get("/style.css");
    assert_eq!(css.fields["content-type"], "text/css; charset=utf-8");
    assert_eq!(css.fields["x-content-type-options"], "nosniff");
    assert_eq!(css.fields["cache-control"], "public, max-age=0, must-revalidate");
    assert!(css.fields["last-modified"].ends_with(" GMT"));
    let again = server.ask("/style.css", &format!("If-None-Match: W/\"x\", {}\r\n", css.fields["etag"]));
    assert_eq!(again.status, 304);
    let again = server.ask("/style.css", &format!("If-Modified-Since: {}\r\n", css.fields["last-modified"]));
    assert_eq!(again.status, 304);
    let newer = server.ask("/style.css", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    assert_eq!(newer.status, 200);
    // The ETag depends on the content, not on the time.
    fs::write(server.dir.path().join("app.js"), "0123456789").unwrap();
    let one = server.get("/app.js").fields["etag"].clone();
    fs::write(server.dir.path().join("app.js"), "9876543210!").unwrap();
    assert_ne!(server.get("/app.js").fields["etag"], one);
    assert_eq!(server.get("/404x").status, 404);
}

#[test]
fn ranges() {
    let server = site();
    for (range, status, body) in [
        ("bytes=0-3", 206, "0123"),
        ("bytes=5-", 206, "56789"),
        ("bytes=-2", 206, "89"),
        ("bytes=-200", 206, "0123456789"),
        ("bytes=8-100", 206, "89"),
        ("bytes=10-", 416, ""),
        ("bytes=-0", 416, ""),
        ("bytes=3-1", 200, "0123456789"),
        ("bytes=0-1,3-4", 200, "0123456789"),
        ("lines=0-1", 200, "0123456789"),
        ("bytes=x", 200, "0123456789"),
    ] {
        let reply = server.ask("/app.js", &format!("Range: {range}\r\n"));
        assert_eq!((reply.status, reply.text()), (status, body), "{range}");
    }
    let reply = server.ask("/app.js", "Range: bytes=0-3\r\n");
    assert_eq!(reply.fields["content-range"], "bytes 0-3/10");
    let reply = server.ask("/app.js", "Range: bytes=0-3\r\nIf-Range: \"old\"\r\n");
    assert_eq!(reply.status, 200);
    let tag = &server.get("/app.js").fields["etag"];
    let reply = server.ask("/app.js", &format!("Range: bytes=0-3\r\nIf-Range: {tag}\r\n"));
    assert_eq!((reply.status, reply.text()), (206, "0123"));
}

#[test]
fn large_files_are_streamed() {
    let numbers: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    let server = Server::start(&[("numbers.txt", &numbers)]);
    assert_eq!(server.get("/numbers.txt").text(), numbers);
    let reply = server.ask("/numbers.txt", "Range: bytes=100000-399999\r\n");
    assert_eq!((reply.status, reply.text()), (206, &numbers[100_000..400_000]));
    let mut stream = server.connect();
    let reply = exchange(&mut stream, "HEAD", "/numbers.txt", "");
    assert_eq!(reply.fields["content-length"], numbers.len().to_string());
    assert_eq!(exchange(&mut stream, "GET", "/none", "").status, 404);
}

#[test]
fn compressed_files_are_sent_to_clients_that_accept_them() {
    let server = Server::start(&[("a.txt", "plain"), (".heroku/static/gz/a.txt.gz", "compressed")]);
    for (accept, body, encoding) in
        [("gzip, br", "compressed", Some("gzip")), ("gzip;q=0", "plain", None), ("br", "plain", None)]
    {
        let reply = server.ask("/a.txt", &format!("Accept-Encoding: {accept}\r\n"));
        let found = reply.fields.get("content-encoding").map(String::as_str);
        assert_eq!((reply.text(), found, reply.fields["vary"].as_str()), (body, encoding, "Accept-Encoding"));
    }
    let part = server.ask("/a.txt", "Accept-Encoding: gzip\r\nRange: bytes=0-1\r\n");
    assert_eq!((part.status, part.text()), (206, "pl"));
}

#[test]
fn connections_stay_open_and_many_fit() {
    let server = site();
    let mut idle: Vec<TcpStream> = (0..400).map(|_| server.connect()).collect();
    for stream in &mut idle {
        assert_eq!(exchange(stream, "GET", "/about", "").text(), "about");
    }
    for stream in &mut idle {
        assert_eq!(exchange(stream, "HEAD", "/about", "").fields["content-length"], "5");
        let reply = exchange(stream, "GET", "/about", "");
        assert_eq!((reply.text(), reply.fields.get("connection")), ("about", None));
    }
    // Two requests at once, answered in order.
    let mut stream = server.connect();
    stream.write_all(b"GET /about HTTP/1.1\r\nHost: x\r\n\r\nGET /blog/ HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(read_reply(&mut stream, false).text(), "about");
    assert_eq!(read_reply(&mut stream, false).text(), "blog");
    // An unneeded body is skipped.
    let reply = exchange(&mut stream, "POST", "/about", "Content-Length: 0\r\n");
    assert_eq!((reply.status, reply.fields["allow"].as_str()), (405, "GET, HEAD"));
    assert_eq!(exchange(&mut stream, "GET", "/about", "").text(), "about");
}

#[test]
fn nonsense_is_turned_away() {
    let server = site();
    for (request, status) in [
        (&b"GARBAGE\r\n\r\n"[..], "400"),
        (b"GET / HTTP/2.0\r\n\r\n", "400"),
        (b"GET /a b HTTP/1.1\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"),
        (b"GET / HTTP/1.0\r\n\r\n", "200"),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "200"),
    ] {
        let reply = server.raw(request);
        assert_eq!(reply.split(' ').nth(1), Some(status), "{reply}");
    }
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(64 << 10));
    let mut stream = server.connect();
    // It may close the connection while we are still writing.
    let _ = stream.write_all(long.as_bytes());
    assert_eq!(server.get("/about").text(), "about");
}

#[test]
fn links_do_not_lead_out() {
    let server = site();
    symlink("/etc/passwd", server.dir.path().join("passwd.txt")).unwrap();
    symlink("about.html", server.dir.path().join("alias.txt")).unwrap();
    assert_eq!(server.get("/passwd.txt").status, 404);
    assert_eq!(server.get("/alias.txt").text(), "about");
}

#[test]
fn links_do_not_show_what_is_hidden() {
    let server = Server::start(&[("static.json", "{}"), (".secret", "x"), ("sub/a.txt", "a")]);
    symlink(".", server.dir.path().join("loop")).unwrap();
    symlink(".secret", server.dir.path().join("shown.txt")).unwrap();
    for hidden in ["/static.json", "/loop/static.json", "/.secret", "/loop/.secret", "/shown.txt"] {
        assert_eq!(server.get(hidden).status, 404, "{hidden}");
    }
    assert_eq!(server.get("/loop/sub/a.txt").text(), "a");
}

#[test]
fn static_json_decides() {
    let config = r#"{
        "root": "public/", "clean_urls": true, "https_only": true, "error_page": "oops.html",
        "routes": {"/api/**": "none.html", "/**": "index.html"},
        "redirects": {"/old/*": {"url": "/new", "status": 302}, "/gone": {"url": "https://example.com/"}},
        "headers": {"/**": {"X-Frame-Options": "DENY"}, "/assets/*": {
            "Cache-Control": "public, max-age=31536000", "Content-Type": "text/x-own", "Content-Length": "7", "X": 1
        }}
    }"#;
    let server = Server::start(&[
        ("static.json", config),
        ("public/index.html", "spa"),
        ("public/about.html", "about"),
        ("public/docs/index.html", "docs"),
        ("public/assets/a.js", "x"),
        ("public/oops.html", "oops"),
        ("secret.txt", "secret"),
    ]);
    let secure = "X-Forwarded-Proto: https\r\n";
    let plain = server.get("/deep/link?x");
    assert_eq!((plain.status, plain.fields["location"].as_str()), (301, "https://site.example/deep/link?x"));
    for (target, status, body) in [
        ("/", 200, "spa"),
        ("/deep/link", 200, "spa"),
        ("/about", 200, "about"),
        ("/secret.txt", 200, "spa"),
        ("/api/x", 404, "oops"),
    ] {
        let reply = server.ask(target, secure);
        assert_eq!((reply.status, reply.text()), (status, body), "{target}");
        assert_eq!(reply.fields["x-frame-options"], "DENY");
    }
    for (target, status, location) in [
        ("/about.html", 301, "/about"),
        ("/docs/index.html", 301, "/docs/"),
        ("/old/x", 302, "/new"),
        ("/gone", 301, "https://example.com/"),
    ] {
        let reply = server.ask(target, secure);
        assert_eq!((reply.status, reply.fields["location"].as_str()), (status, location), "{target}");
    }
    let asset = server.ask("/assets/a.js", secure);
    assert_eq!(asset.fields["cache-control"], "public, max-age=31536000");
    assert_eq!((asset.fields["content-type"].as_str(), asset.text()), ("text/x-own", "x"));
    assert!(!asset.fields.contains_key("x"));
}

#[test]
fn a_wrong_static_json_gets_a_sentence() {
    for (config, sentence) in [
        ("{", "static.json cannot be read: EOF while parsing an object at line 1"),
        ("[]", "expected an object"),
        ("{\n\"root\": x}", "line 2"),
        ("{\"root\": \"../..\"}", "no such directory"),
        ("{\"root\": \"missing\"}", "no such directory"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("static.json"), config).unwrap();
        let output = check(dir.path());
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(sentence), "{said}");
    }
}

fn check(dir: &Path) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_fileserver")).arg("--check").arg(dir).output().unwrap()
}

#[test]
fn sigterm_ends_it_after_requests_in_progress() {
    let mut server = site();
    let mut slow = server.connect();
    slow.write_all(b"GET /about HTTP/1.1\r\n").unwrap();
    assert_eq!(server.get("/about").status, 200);
    let pid = nix::unistd::Pid::from_raw(server.process.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    // `kill` returns before the server has handled the signal; it has when it no longer accepts connections.
    server.wait_until(false);
    slow.write_all(b"Host: x\r\n\r\n").unwrap();
    let reply = read_reply(&mut slow, false);
    assert_eq!((reply.text(), reply.fields["connection"].as_str()), ("about", "close"));
    assert!(server.process.wait().unwrap().success());
}

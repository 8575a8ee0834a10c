//! A router in a test environment: scripted dynos, and clients that send exact bytes.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::ids::AppId;
use router::{AppRoute, AppState, Backend, Config, Control, Router, Routes, Timeouts};
use spool::{Cursor, Reader};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a test waits for an expected event.
pub const LONG: Duration = Duration::from_secs(20);

pub const SHOP: AppId = AppId::from_u128(0x5109);

/// Timeouts that tests do not reach; a test shortens the one that it is about.
pub fn patient() -> Timeouts {
    Timeouts { drain: Duration::from_secs(5), ..Timeouts::default() }
}

pub struct World {
    pub dir: Arc<TempDir>,
    pub addr: SocketAddr,
    pub control: Control,
    stop: Option<oneshot::Sender<()>>,
    run: JoinHandle<anyhow::Result<()>>,
}

impl World {
    pub async fn start() -> World {
        World::with(patient()).await
    }

    pub async fn with(timeouts: Timeouts) -> World {
        World::on(Arc::new(tempfile::tempdir().unwrap()), timeouts, 1).await
    }

    /// A router on a directory that may contain files of an earlier one. With one worker, the kept connections are
    /// deterministic.
    pub async fn on(dir: Arc<TempDir>, timeouts: Timeouts, workers: usize) -> World {
        World::told(dir, |config| {
            config.timeouts = timeouts;
            config.workers = workers;
        })
        .await
    }

    /// A router with other settings than usual.
    pub async fn configured(tell: impl FnOnce(&mut Config)) -> World {
        World::told(Arc::new(tempfile::tempdir().unwrap()), |config| {
            config.timeouts = patient();
            config.workers = 1;
            tell(config);
        })
        .await
    }

    async fn told(dir: Arc<TempDir>, tell: impl FnOnce(&mut Config)) -> World {
        let mut config = Config::new("127.0.0.1:0".parse().unwrap(), dir.path(), dir.path().join("run"));
        tell(&mut config);
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let router = Router::bind(config).unwrap();
        let addr = router.addr();
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(router.run(async {
            let _ = stopped.await;
        }));
        World { control: Control::new(&dir.path().join("run")), dir, addr, stop: Some(stop), run }
    }

    /// A router in another process, which `run` waits for and which ends when `stop` is dropped.
    pub fn of_process(
        dir: Arc<TempDir>,
        addr: SocketAddr,
        stop: oneshot::Sender<()>,
        run: JoinHandle<anyhow::Result<()>>,
    ) -> World {
        World { control: Control::new(&dir.path().join("run")), dir, addr, stop: Some(stop), run }
    }

    /// Stops the router and waits until it has ended.
    pub async fn stop(&mut self) {
        drop(self.stop.take());
        (&mut self.run).await.unwrap().unwrap();
    }

    /// Requests the router to stop, without waiting.
    pub fn tell_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Puts the app `shop` into the table.
    pub async fn shop(&self, state: AppState, dynos: &[SocketAddr]) {
        self.control.put(&shop(state, dynos)).await.unwrap();
    }

    pub async fn client(&self) -> Conn<TcpStream> {
        Conn::new(TcpStream::connect(self.addr).await.unwrap())
    }

    /// The response to these bytes on a new connection, up to its end.
    pub async fn say(&self, bytes: &[u8]) -> String {
        let mut client = self.client().await;
        // A request that the router answers itself, and that ends the connection if nothing else has.
        let end = b"GET / HTTP/1.1\r\nHost: the-end.test\r\nConnection: close\r\n\r\n";
        // It may be rejected before all of it was sent.
        let _ = client.stream.write_all(&[bytes, end].concat()).await;
        while client.more().await {}
        let mut said = String::from_utf8_lossy(&client.buffer).into_owned();
        if said.contains("the-end.test") {
            said.truncate(said.rfind("HTTP/1.1 404").unwrap());
        }
        said
    }

    /// GET of a path of the shop on a new connection.
    pub async fn get(&self, path: &str) -> Answer {
        let mut client = self.client().await;
        client.send(&get(path)).await;
        client.answer().await
    }

    /// The router's lines, once there are `n`.
    pub async fn lines(&self, n: usize) -> Vec<String> {
        let dir = router::spool_dir(self.dir.path());
        eventually("lines in the spool", || {
            let lines = lines_in(&dir);
            (lines.len() >= n).then_some(lines)
        })
        .await
    }

    /// The only line that there should be.
    pub async fn line(&self) -> String {
        let lines = self.lines(1).await;
        assert_eq!(lines.len(), 1, "{lines:#?}");
        lines[0].clone()
    }
}

pub fn lines_in(dir: &Path) -> Vec<String> {
    let mut reader = Reader::new(dir, Cursor::default());
    let mut lines = Vec::new();
    loop {
        let entries = reader.read(1000).unwrap();
        if entries.is_empty() {
            return lines;
        }
        for entry in entries {
            assert_eq!(entry.kind, b'r');
            let text = String::from_utf8(entry.text).unwrap();
            lines.push(text.strip_prefix(&format!("{SHOP} ")).unwrap().to_owned());
        }
    }
}

pub fn shop(state: AppState, dynos: &[SocketAddr]) -> Routes {
    let dynos = dynos.iter().enumerate().map(|(i, addr)| Backend { dyno: format!("web.{}", i + 1), addr: *addr });
    Routes {
        version: 7,
        platform_hosts: vec!["wharf.test".into(), "api.wharf.test".into()],
        apps_domain: "apps.test".into(),
        apps: vec![AppRoute {
            app_id: SHOP,
            name: "shop".into(),
            hosts: vec!["www.shop.test".into()],
            state,
            dynos: dynos.collect(),
            standby: vec![],
        }],
    }
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: shop.apps.test\r\n\r\n")
}

/// Waits until `look` returns something.
pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + LONG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "no {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One end of an HTTP connection, at the level of bytes.
pub struct Conn<S> {
    pub stream: S,
    buffer: Vec<u8>,
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// A header of the head, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conn<S> {
    pub fn new(stream: S) -> Conn<S> {
        Conn { stream, buffer: Vec::new() }
    }

    pub async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads more. `false` at the end, including that of a broken connection.
    pub async fn more(&mut self) -> bool {
        let mut chunk = [0; 64 * 1024];
        let read = tokio::time::timeout(LONG, self.stream.read(&mut chunk));
        let n = read.await.expect("something to read").unwrap_or(0);
        self.buffer.extend_from_slice(&chunk[..n]);
        n > 0
    }

    /// A head up to its empty line. `None` when the connection ends before.
    pub async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = self.buffer.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Exactly `n` bytes.
    pub async fn bytes(&mut self, n: usize) -> String {
        while self.buffer.len() < n {
            assert!(self.more().await, "the end came before {n} bytes");
        }
        String::from_utf8(self.buffer.drain(..n).collect()).unwrap()
    }

    /// One chunk of a chunked body; empty at its end.
    pub async fn chunk(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let size = std::str::from_utf8(&self.buffer[..end]).unwrap();
                let size = usize::from_str_radix(size, 16).unwrap();
                self.bytes(end + 2).await;
                let text = self.bytes(size).await;
                self.bytes(2).await;
                return Some(text);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The body that belongs to a head. `None` if it is incomplete.
    pub async fn body(&mut self, head: &str) -> Option<String> {
        if let Some(length) = header(head, "content-length") {
            let length = length.parse().unwrap();
            while self.buffer.len() < length {
                if !self.more().await {
                    return None;
                }
            }
            return Some(self.bytes(length).await);
        }
        if header(head, "transfer-encoding") != Some("chunked") {
            return Some(String::new());
        }
        let mut body = String::new();
        loop {
            let chunk = self.chunk().await?;
            if chunk.is_empty() {
                return Some(body);
            }
            body += &chunk;
        }
    }

    pub async fn answer(&mut self) -> Answer {
        let head = self.head().await.expect("an answer");
        let body = self.body(&head).await.expect("the whole answer");
        Answer { status: head[9..12].parse().unwrap(), head, body }
    }

    /// Whether the other side has ended the connection.
    pub async fn ended(&mut self) -> bool {
        self.buffer.is_empty() && !self.more().await
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

/// A dyno that runs a script for every connection.
pub struct Dyno {
    pub addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    accept: JoinHandle<()>,
}

impl Dyno {
    /// `script` gets each connection and its number, from 0.
    pub async fn script<F, Fut>(script: F) -> Dyno
    where
        F: Fn(Conn<TcpStream>, usize) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let accept = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let n = counter.fetch_add(1, SeqCst);
                tokio::spawn(script(Conn::new(stream), n));
            }
        });
        Dyno { addr, connections, accept }
    }

    /// A dyno that answers every request with what `answer` makes of its head and body.
    pub async fn answering(answer: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Dyno {
        let answer = Arc::new(answer);
        Dyno::script(move |mut conn, _| {
            let answer = answer.clone();
            async move {
                while let Some(head) = conn.head().await {
                    let Some(body) = conn.body(&head).await else {
                        return;
                    };
                    conn.send(&answer(&head, &body)).await;
                }
            }
        })
        .await
    }

    /// A dyno that responds with its name.
    pub async fn saying(text: &'static str) -> Dyno {
        Dyno::answering(move |_, _| ok(text)).await
    }

    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    /// Stops listening, so that connections are refused.
    pub async fn refuse(self) -> SocketAddr {
        self.accept.abort();
        let _ = self.accept.await;
        self.addr
    }
}

/// A dyno that records every byte it receives, and responds once for each of these endings.
pub struct Recorder {
    pub addr: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    /// `answer` is sent whenever a complete request has arrived.
    pub async fn new(answer: &'static str) -> Recorder {
        let heard: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let record = heard.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let n = {
                    let mut heard = record.lock().unwrap();
                    heard.push(Vec::new());
                    heard.len() - 1
                };
                let record = record.clone();
                tokio::spawn(async move {
                    let (mut chunk, mut answered) = ([0; 4096], 0);
                    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
                        let whole = {
                            let mut heard = record.lock().unwrap();
                            heard[n].extend_from_slice(&chunk[..read]);
                            whole_requests(&heard[n])
                        };
                        for _ in answered..whole {
                            let _ = stream.write_all(answer.as_bytes()).await;
                        }
                        answered = whole.max(answered);
                    }
                });
            }
        });
        Recorder { addr, heard }
    }

    /// Every byte of every connection, one connection after the other.
    pub fn heard(&self) -> String {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// The received bytes, without the headers that the router adds to every request, and with visible line ends.
    pub fn plain(&self) -> String {
        let added = ["x-forwarded-", "x-request-", "via: "];
        let lines = self.heard();
        let kept = lines.split_inclusive("\r\n").filter(|line| !added.iter().any(|name| line.starts_with(name)));
        kept.collect::<String>().replace("\r\n", "|").replace('\n', "<LF>").replace('\r', "<CR>")
    }
}

/// The number of requests with complete bodies, as counted by a strict parser.
fn whole_requests(bytes: &[u8]) -> usize {
    let (mut rest, mut n) = (bytes, 0);
    while let Some(end) = find(rest, b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&rest[..end + 4]).into_owned();
        rest = &rest[end + 4..];
        if let Some(length) = header(&head, "content-length") {
            match rest.get(length.parse().unwrap()..) {
                Some(after) => rest = after,
                None => return n,
            }
        } else if header(&head, "transfer-encoding").is_some() {
            match find(rest, b"0\r\n\r\n") {
                Some(end) => rest = &rest[end + 5..],
                None => return n,
            }
        }
        n += 1;
    }
    n
}

/// A response 200 with this body.
pub fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// An address without a listener.
pub async fn nobody() -> SocketAddr {
    Dyno::saying("").await.refuse().await
}

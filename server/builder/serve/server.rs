//! Connections: idle ones wait together, busy ones have a thread each.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::files::Site;
use crate::http;
use crate::poll::{self, Poll};
use crate::respond;

/// Threads; below the number of processes that a small dyno may have.
const THREADS: usize = 200;
const STACK_BYTES: usize = 128 << 10;
/// A request's head must arrive within this time, and a reader must take something within the other.
const READ_LIMIT: Duration = Duration::from_secs(10);
const WRITE_LIMIT: Duration = Duration::from_secs(60);
/// Longer than the router keeps an idle connection, so that it is never closed under a request.
const IDLE_LIMIT: Duration = Duration::from_secs(120);
/// After SIGTERM.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);

struct Connection {
    stream: TcpStream,
    /// Read, but not yet a whole request.
    ahead: Vec<u8>,
    since: Instant,
}

struct Shared {
    site: Site,
    poll: Poll,
    idle: Mutex<HashMap<RawFd, Connection>>,
    queue: Mutex<Receiver<Connection>>,
    threads: AtomicUsize,
    busy: AtomicUsize,
}

/// Serves until SIGTERM, then finishes what it has begun.
pub fn run(config: Config, port: u16) -> io::Result<()> {
    let listener = listen(port)?;
    listener.set_nonblocking(true)?;
    poll::catch_sigterm();
    let (sender, receiver) = channel();
    let shared = Arc::new(Shared {
        poll: Poll::new()?,
        site: Site::new(config),
        idle: Mutex::default(),
        queue: Mutex::new(receiver),
        threads: AtomicUsize::new(0),
        busy: AtomicUsize::new(0),
    });
    shared.poll.add(listener.as_raw_fd())?;
    println!("Serving {} on port {port}", shared.site.root().display());
    let mut swept = Instant::now();
    while !poll::is_stopping() {
        for fd in shared.poll.wait(1000)? {
            if fd == listener.as_raw_fd() {
                accept(&listener, &shared);
            } else if let Some(connection) = lock(&shared.idle).remove(&fd) {
                dispatch(&shared, &sender, connection);
            }
        }
        if swept.elapsed() > Duration::from_secs(5) {
            swept = Instant::now();
            lock(&shared.idle).retain(|_, connection| connection.since.elapsed() < IDLE_LIMIT);
        }
    }
    drop(listener);
    let deadline = Instant::now() + DRAIN_LIMIT;
    while shared.busy.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// On all addresses, of both families where there are two.
fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).or_else(|_| TcpListener::bind(("0.0.0.0", port)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn accept(listener: &TcpListener, shared: &Shared) {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => {
                // Out of descriptors, most likely: let some be closed first.
                thread::sleep(Duration::from_millis(10));
                return;
            }
        };
        let ready = stream
            .set_nonblocking(false)
            .and_then(|()| stream.set_nodelay(true))
            .and_then(|()| stream.set_read_timeout(Some(READ_LIMIT)))
            .and_then(|()| stream.set_write_timeout(Some(WRITE_LIMIT)));
        if ready.is_ok() {
            let connection = Connection { stream, ahead: Vec::new(), since: Instant::now() };
            wait_idle(shared, connection, true);
        }
    }
}

fn wait_idle(shared: &Shared, mut connection: Connection, new: bool) {
    connection.since = Instant::now();
    let fd = connection.stream.as_raw_fd();
    // Under the lock, because the descriptor may be reported before it is in the map.
    let mut idle = lock(&shared.idle);
    let watched = if new { shared.poll.add_once(fd) } else { shared.poll.again(fd) };
    if watched.is_ok() {
        idle.insert(fd, connection);
    }
}

/// Hands a connection to a thread, to a new one if all are busy.
fn dispatch(shared: &Arc<Shared>, sender: &Sender<Connection>, connection: Connection) {
    shared.busy.fetch_add(1, Ordering::SeqCst);
    let queued = shared.busy.load(Ordering::SeqCst);
    let threads = shared.threads.load(Ordering::SeqCst);
    if queued > threads && threads < THREADS {
        let mine = Arc::clone(shared);
        let started = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || work(&mine));
        if started.is_ok() {
            shared.threads.fetch_add(1, Ordering::SeqCst);
        } else if threads == 0 {
            eprintln!("cannot start a thread");
        }
    }
    // The receiver lives as long as `shared`.
    let _ = sender.send(connection);
}

fn work(shared: &Shared) {
    loop {
        let next = lock(&shared.queue).recv();
        let Ok(mut connection) = next else { return };
        let keep = converse(shared, &mut connection);
        if keep && !poll::is_stopping() {
            wait_idle(shared, connection, false);
        }
        shared.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers what has been asked. True if the connection stays open.
fn converse(shared: &Shared, connection: &mut Connection) -> bool {
    loop {
        let head = match http::read(&mut connection.stream, &mut connection.ahead) {
            Ok(Some(head)) => head,
            Ok(None) => return false,
            Err(problem) => {
                let text = format!("HTTP/1.1 {problem}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                // The other side is wrong or gone; nothing is lost.
                let _ = connection.stream.write_all(text.as_bytes());
                return false;
            }
        };
        let keep = head.keeps_alive() && !poll::is_stopping();
        let answered = respond::respond(&shared.site, &head, keep, &mut connection.stream);
        if answered.is_err() || !keep {
            return false;
        }
        if connection.ahead.is_empty() {
            return true;
        }
    }
}

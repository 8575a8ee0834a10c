//! A driver in memory, for tests of other crates.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::ids::RunId;
use async_trait::async_trait;
use chrono::Utc;
use shim::terminal::{EXIT, MOST_CONTENT, OUTPUT, Parser, message};
use spool::{Cursor, Source};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::{Attachment, Driver, Error, Exec, Exit, Handle, Phase, Spec, Stats, Status, output::Spooled};

/// Runs nothing: a started dyno is `Running` until a test ends it.
///
/// A dyno with a port listens on a free port of 127.0.0.1 (connections are accepted and never answered). SIGTERM and
/// SIGKILL end a dyno, other signals are only recorded. [`FakeDriver::react`] changes what happens at a start.
pub struct FakeDriver {
    spools: PathBuf,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

/// The behaviour of a fake dyno after its start.
#[derive(Clone, PartialEq, Debug)]
pub enum Reaction {
    /// It runs, and listens if it has a port.
    Run,
    /// It runs, and nothing listens on its port.
    Deaf,
    /// It runs, and SIGTERM does not end it.
    Stubborn,
    /// It exits immediately with this code.
    Exit(i32),
    /// It could not be started, for this reason.
    Fail(String),
}

type React = Box<dyn Fn(&Spec) -> Reaction + Send>;

#[derive(Default)]
struct State {
    dynos: BTreeMap<RunId, Dyno>,
    react: Option<React>,
    signals: Vec<(RunId, i32)>,
    started: Vec<Spec>,
    /// How many calls of [`Driver::wait`] fail.
    failing_waits: usize,
    /// Each fails once.
    failing_signals: Vec<i32>,
    execs: Vec<(RunId, Exec)>,
    /// The ends of terminals: of the server until it attaches, and of the test.
    terminals: BTreeMap<RunId, (Option<UnixStream>, Option<UnixStream>)>,
}

struct Dyno {
    status: Status,
    stats: Stats,
    stubborn: bool,
    _listener: Option<TcpListener>,
}

impl FakeDriver {
    /// A driver whose dynos have their spools below `dir`, which need not exist.
    pub fn new(dir: &Path) -> FakeDriver {
        FakeDriver { spools: dir.to_owned(), state: Arc::default(), changed: watch::channel(0).0 }
    }

    /// Sets the behaviour of dynos started from now on.
    pub fn react(&self, react: impl Fn(&Spec) -> Reaction + Send + 'static) {
        self.lock().react = Some(Box::new(react));
    }

    /// Makes the next calls of [`Driver::wait`] fail while the dyno runs.
    pub fn fail_waits(&self, times: usize) {
        self.lock().failing_waits = times;
    }

    /// Makes sending this signal fail as many times, to whatever dyno it is sent next.
    pub fn fail_signals(&self, signal: i32, times: usize) {
        self.lock().failing_signals.extend(vec![signal; times]);
    }

    /// How many of the failures that tests asked for are left.
    pub fn failures_left(&self) -> usize {
        let state = self.lock();
        state.failing_waits + state.failing_signals.len()
    }

    /// Ends a running dyno with an exit code.
    pub fn exit(&self, id: RunId, code: i32) {
        self.exit_with(id, exit(Some(code), None));
    }

    /// Ends a running dyno in any way.
    pub fn exit_with(&self, id: RunId, exit: Exit) {
        self.end(&mut self.lock(), id, exit);
    }

    /// Writes a line to the dyno's output: kind `o` (stdout), `e` (stderr) or `s` (shim).
    pub fn say(&self, id: RunId, kind: u8, text: &str) -> std::io::Result<()> {
        let entry = spool::Entry { at_us: Utc::now().timestamp_micros(), kind, text: text.as_bytes().to_vec() };
        let mut writer = spool::Writer::open(&self.spool(id), 1 << 20)?;
        writer.append(&entry)?;
        writer.flush()
    }

    /// Sets the [`Driver::stats`] of a dyno.
    pub fn set_stats(&self, id: RunId, stats: Stats) {
        if let Some(dyno) = self.lock().dynos.get_mut(&id) {
            dyno.stats = stats;
        }
    }

    /// Every spec that was ever started, in order.
    pub fn started(&self) -> Vec<Spec> {
        self.lock().started.clone()
    }

    /// Every exec that was ever started, in order.
    pub fn execs(&self) -> Vec<(RunId, Exec)> {
        self.lock().execs.clone()
    }

    /// The process's end of the newest terminal of a dyno, for tests that play the process.
    pub fn terminal(&self, id: RunId) -> Option<FakeTerminal> {
        let stream = self.lock().terminals.get_mut(&id)?.1.take()?;
        Some(FakeTerminal { stream, parser: Parser::new(MOST_CONTENT) })
    }

    /// Every signal that was ever sent, in order.
    pub fn signals(&self) -> Vec<(RunId, i32)> {
        self.lock().signals.clone()
    }

    /// The newest running dyno of this name.
    pub fn running(&self, name: &str) -> Option<Status> {
        let state = self.lock();
        let mut newest = state.started.iter().rev().filter(|spec| spec.name == name);
        newest.find_map(|spec| {
            let status = &state.dynos.get(&spec.id)?.status;
            (status.phase == Phase::Running).then(|| status.clone())
        })
    }

    /// Where the output of a dyno is.
    pub fn spool(&self, id: RunId) -> PathBuf {
        self.spools.join(id.to_string()).join("spool")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn end(&self, state: &mut State, id: RunId, exit: Exit) {
        let Some(dyno) = state.dynos.get_mut(&id) else {
            return;
        };
        if dyno.status.phase == Phase::Running {
            dyno.status.phase = Phase::Exited(exit);
            dyno._listener = None;
            self.changed.send_modify(|n| *n += 1);
        }
    }

    fn make(&self, spec: &Spec, reaction: Reaction) -> Result<Dyno, Error> {
        let listens = !matches!(reaction, Reaction::Deaf | Reaction::Exit(_) | Reaction::Fail(_));
        let mut addr = None;
        let mut listener = None;
        if spec.port.is_some() {
            let socket = TcpListener::bind("127.0.0.1:0").map_err(Error::io("listen"))?;
            addr = Some(socket.local_addr().map_err(Error::io("read the address"))?);
            listener = listens.then_some(socket);
        }
        let phase = match &reaction {
            Reaction::Exit(code) => Phase::Exited(exit(Some(*code), None)),
            Reaction::Fail(why) => Phase::Exited(Exit::of_error(why, Utc::now())),
            _ => Phase::Running,
        };
        let handle = Handle { id: spec.id, name: spec.name.clone(), addr, started_at: Utc::now() };
        Ok(Dyno {
            status: Status { handle, phase },
            stats: Stats::default(),
            stubborn: reaction == Reaction::Stubborn,
            _listener: listener,
        })
    }
}

#[async_trait]
impl Driver for FakeDriver {
    async fn start(&self, spec: &Spec) -> Result<Handle, Error> {
        let mut state = self.lock();
        if let Some(dyno) = state.dynos.get(&spec.id) {
            return Ok(dyno.status.handle.clone());
        }
        let reaction = state.react.as_ref().map_or(Reaction::Run, |react| react(spec));
        let dyno = self.make(spec, reaction)?;
        let handle = dyno.status.handle.clone();
        if spec.terminal.is_some() {
            state.terminals.insert(spec.id, pair()?);
        }
        state.started.push(spec.clone());
        state.dynos.insert(spec.id, dyno);
        Ok(handle)
    }

    async fn status(&self, id: RunId) -> Result<Option<Status>, Error> {
        Ok(self.lock().dynos.get(&id).map(|dyno| dyno.status.clone()))
    }

    async fn list(&self) -> Result<Vec<Status>, Error> {
        Ok(self.lock().dynos.values().map(|dyno| dyno.status.clone()).collect())
    }

    async fn signal(&self, id: RunId, signal: i32) -> Result<(), Error> {
        let mut state = self.lock();
        let Some(dyno) = state.dynos.get(&id) else {
            return Err(Error::Unknown(id));
        };
        if let Some(at) = state.failing_signals.iter().position(|failing| *failing == signal) {
            state.failing_signals.remove(at);
            return Err(failure("send a signal"));
        }
        let ends = signal == libc::SIGKILL || (signal == libc::SIGTERM && !dyno.stubborn);
        state.signals.push((id, signal));
        if ends {
            self.end(&mut state, id, exit(None, Some(signal)));
        }
        Ok(())
    }

    async fn remove(&self, id: RunId) -> Result<(), Error> {
        let mut state = self.lock();
        self.end(&mut state, id, exit(None, Some(libc::SIGKILL)));
        state.dynos.remove(&id);
        self.changed.send_modify(|n| *n += 1);
        Ok(())
    }

    async fn stats(&self, id: RunId) -> Result<Option<Stats>, Error> {
        let state = self.lock();
        let running = state.dynos.get(&id).filter(|dyno| dyno.status.phase == Phase::Running);
        Ok(running.map(|dyno| dyno.stats))
    }

    fn output(&self, id: RunId, from: Cursor) -> Box<dyn Source> {
        let state = self.state.clone();
        let has_ended = move || lock(&state).dynos.get(&id).is_none_or(|dyno| dyno.status.phase != Phase::Running);
        Box::new(Spooled::new(&self.spool(id), from, has_ended))
    }

    async fn attach(&self, id: RunId) -> Result<Option<Attachment>, Error> {
        Ok(self.lock().terminals.get_mut(&id).and_then(|ends| ends.0.take()).map(Attachment::new))
    }

    async fn exec(&self, id: RunId, exec: &Exec) -> Result<Attachment, Error> {
        let (ours, theirs) = pair()?;
        let mut state = self.lock();
        if !state.dynos.get(&id).is_some_and(|dyno| dyno.status.phase == Phase::Running) {
            return Err(Error::Unknown(id));
        }
        state.execs.push((id, exec.clone()));
        state.terminals.insert(id, (None, theirs));
        ours.map(Attachment::new).ok_or(Error::Unknown(id))
    }

    async fn wait(&self, id: RunId) -> Result<Exit, Error> {
        let mut changed = self.changed.subscribe();
        {
            let mut state = self.lock();
            if state.failing_waits > 0 {
                state.failing_waits -= 1;
                return Err(failure("wait for a dyno"));
            }
        }
        loop {
            match self.status(id).await? {
                None => return Err(Error::Unknown(id)),
                Some(status) => {
                    if let Phase::Exited(exit) = status.phase {
                        return Ok(exit);
                    }
                }
            }
            // The sender is part of `self`, so it is there.
            let _ = changed.changed().await;
        }
    }
}

/// The process's end of a terminal.
pub struct FakeTerminal {
    stream: UnixStream,
    parser: Parser,
}

impl FakeTerminal {
    /// Writes output.
    pub async fn say(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.write_all(&message(OUTPUT, text.as_bytes())).await
    }

    /// Reports the end of the process.
    pub async fn exit(&mut self, code: i32) -> std::io::Result<()> {
        let exit = serde_json::to_vec(&exit(Some(code), None))?;
        self.stream.write_all(&message(EXIT, &exit)).await
    }

    /// The next message from the server: `i` and input, `d`, or `z` and a size; `None` when it has hung up.
    pub async fn next(&mut self) -> std::io::Result<Option<(char, Vec<u8>)>> {
        let mut buffer = [0; 4096];
        loop {
            if let Some((kind, content)) = self.parser.take()? {
                return Ok(Some((char::from(kind), content)));
            }
            match self.stream.read(&mut buffer).await? {
                0 => return Ok(None),
                read => self.parser.push(&buffer[..read]),
            }
        }
    }
}

fn pair() -> Result<(Option<UnixStream>, Option<UnixStream>), Error> {
    let (ours, theirs) = UnixStream::pair().map_err(Error::io("make a socket"))?;
    Ok((Some(ours), Some(theirs)))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A test that panicked while it held the lock has failed anyway.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failure(doing: &str) -> Error {
    Error::io(doing)(std::io::ErrorKind::Other.into())
}

fn exit(code: Option<i32>, signal: Option<i32>) -> Exit {
    Exit { at: Utc::now(), code, signal, oom: false, crowded: false, error: None }
}

#[cfg(test)]
mod tests;

//! The server's side: starts workers and waits for them.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dyno::confine::{Cgroups, HostError, WHARF};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use uuid::Uuid;

use crate::message::{self, Outcome};
use crate::{Error, Lines, Order, Task, Work};

/// Grace period for killing a worker after its time limit, and for cleaning up.
const GRACE: Duration = Duration::from_secs(20);
/// Bytes of a program's standard error that are returned.
const COMPLAINT_BYTES: usize = 16 << 10;
/// The name of a worker's group, followed by its id.
pub(crate) const PREFIX: &str = "worker-";

/// Number of idle supervisors, because starting one takes some milliseconds.
const SPARE: usize = 4;

/// Delay for replacing supervisors after a worker was started.
const PAUSE: Duration = Duration::from_millis(100);

/// Starts workers on this host. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Workers {
    executable: PathBuf,
    group: String,
    spare: Arc<Mutex<Vec<Supervisor>>>,
}

/// A supervisor that is waiting for its order and has not received any data.
#[derive(Debug)]
struct Supervisor {
    name: String,
    control: UnixStream,
    /// Reaped by the runtime when it is dropped.
    process: Child,
}

/// A program that ended by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Done {
    /// Its exit status.
    pub code: i32,
}

/// The output of a program that ended by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// Its exit status.
    pub code: i32,
    /// Its whole standard output.
    pub stdout: Vec<u8>,
    /// The beginning of its standard error.
    pub stderr: String,
}

/// A running worker. Dropping it kills it, with everything below it.
#[derive(Debug)]
pub struct Worker {
    name: String,
    group: String,
    control: tokio::net::UnixStream,
    patience: Duration,
    _process: Child,
}

impl Workers {
    /// Prepares this host for workers: creates their group, and removes those of lost workers.
    ///
    /// They are started as `/proc/self/exe worker`; that must lead to [`main`](crate::main) before any thread exists.
    pub fn new() -> Result<Workers, Error> {
        Workers::in_group(WHARF)
    }

    /// Like [`Workers::new`], with another name for the control group of dynos and workers. For tests.
    pub fn in_group(group: &str) -> Result<Workers, Error> {
        let host_error = |e: HostError| Error::Host(e.to_string());
        let cgroups = Cgroups::of_workers(group).map_err(host_error)?;
        cgroups.prepare().map_err(host_error)?;
        cgroups.remove_lost(is_lost).map_err(Error::host("remove the groups of old workers"))?;
        let executable = PathBuf::from("/proc/self/exe");
        Ok(Workers { executable, group: group.to_owned(), spare: Arc::default() })
    }

    /// Starts workers from another executable.
    pub fn with_executable(mut self, executable: &Path) -> Workers {
        self.executable = executable.to_owned();
        self
    }

    /// Starts a worker without waiting for it. Errors are returned by [`Worker::done`]. The used supervisor is
    /// replaced.
    pub fn start(&self, order: &Order, lines: Lines) -> Result<Worker, Error> {
        let Supervisor { name, control, process } = self.supervisor()?;
        message::send(&control, order, &lines)?;
        let control = control.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(control));
        let control = control.map_err(Error::host("read from a worker"))?;
        let workers = self.clone();
        tokio::spawn(async move {
            // Not while this one begins.
            tokio::time::sleep(PAUSE).await;
            workers.fill();
        });
        let (group, patience) = (self.group.clone(), order.limits.time + GRACE);
        Ok(Worker { name, group, control, patience, _process: process })
    }

    fn supervisor(&self) -> Result<Supervisor, Error> {
        loop {
            let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut spare) = spare else { return self.spawn() };
            // It may have been killed while it was waiting.
            if matches!(spare.process.try_wait(), Ok(None)) {
                return Ok(spare);
            }
        }
    }

    /// Starts supervisors until enough are idle.
    fn fill(&self) {
        while self.spare.lock().unwrap_or_else(PoisonError::into_inner).len() < SPARE {
            let Ok(supervisor) = self.spawn() else { return };
            self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(supervisor);
        }
    }

    fn spawn(&self) -> Result<Supervisor, Error> {
        let (control, theirs) = UnixStream::pair().map_err(Error::host("create a socket"))?;
        let name = format!("{PREFIX}{}", Uuid::now_v7());
        let process = Command::new(&self.executable)
            .arg0("wharfd")
            .args(["worker", &name, &self.group])
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .map_err(Error::host("start a worker"))?;
        Ok(Supervisor { name, control, process })
    }

    /// Runs a program to its end with `input`, and collects its output, of at most `most` bytes. A status other than 0
    /// is not an error here.
    pub async fn output(&self, order: &Order, input: &[u8], most: u64) -> Result<Output, Error> {
        let (stdin, mut writer) = to_worker()?;
        let (mut reader, stdout) = from_worker()?;
        let (mut complaints, stderr) = from_worker()?;
        let lines = Lines { stdin: Some(stdin), stdout: Some(stdout), stderr: Some(stderr), more: Vec::new() };
        let worker = self.start(order, lines)?;
        // A program need not read all of its input.
        let write = async move { drop(writer.write_all(input).await) };
        let read = async move {
            let mut bytes = Vec::new();
            let read = (&mut reader).take(most + 1).read_to_end(&mut bytes).await;
            read.map_err(Error::host("read from a worker"))?;
            if bytes.len() as u64 > most { Err(Error::TooLarge { bytes: most }) } else { Ok(bytes) }
        };
        let complain = async move {
            let mut bytes = Vec::new();
            let _ = (&mut complaints).take(COMPLAINT_BYTES as u64).read_to_end(&mut bytes).await;
            // The program must not block on output that is discarded.
            let _ = tokio::io::copy(&mut complaints, &mut tokio::io::sink()).await;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        // Exceeding the limit drops the worker, which ends the other futures.
        let all = async { tokio::try_join!(read, complain, worker.done()) };
        let ((), all) = tokio::join!(write, all);
        all.map(|(stdout, stderr, done)| Output { code: done.code, stdout, stderr })
    }

    /// Runs a task in a worker and waits for its result. `order.work` is filled in.
    pub async fn send<E: Task>(&self, task: &E, mut order: Order, lines: Lines) -> Result<E::Answer, Error> {
        let words = serde_json::to_value(task).map_err(|e| Error::host("serialise the task")(e.into()))?;
        order.work = Work::Task { name: E::NAME.to_owned(), words };
        match self.start(&order, lines)?.outcome().await? {
            Outcome::Answer(text) => {
                serde_json::from_str(&text).map_err(|e| Error::host("parse a worker's result")(e.into()))
            }
            Outcome::Ended(code) => Err(Error::Silent { code }),
            Outcome::Failed(err) => Err(err),
        }
    }
}

impl Worker {
    /// Waits until a program has ended.
    pub async fn done(self) -> Result<Done, Error> {
        match self.outcome().await? {
            Outcome::Ended(code) => Ok(Done { code }),
            Outcome::Answer(_) => Ok(Done { code: 0 }),
            Outcome::Failed(err) => Err(err),
        }
    }

    async fn outcome(mut self) -> Result<Outcome, Error> {
        let mut text = Vec::new();
        let outcome = timeout(self.patience, self.control.read_to_end(&mut text)).await;
        let read = outcome.map_err(|late| Error::host("read from a worker's supervisor")(late.into()))?;
        // The socket is reset if it was killed before it had read all of its order.
        if read.is_err() || text.is_empty() {
            self.clear_away().await;
            return Err(Error::Lost);
        }
        serde_json::from_slice(&text).map_err(|e| Error::host("parse the output of a worker's supervisor")(e.into()))
    }

    /// Cleans up in place of the supervisor.
    async fn clear_away(&self) {
        let (name, group) = (self.name.clone(), self.group.clone());
        let remove = move || Cgroups::of_workers(&group).map(|cgroups| cgroups.remove(name));
        let _ = tokio::task::spawn_blocking(remove).await;
    }
}

/// Whether a group belongs to a worker that was started long ago: it is running or lost. Another server of this host
/// may be starting one right now.
fn is_lost(group: &str) -> bool {
    let started = group.strip_prefix(PREFIX).and_then(|id| Uuid::parse_str(id).ok()?.get_timestamp());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    started.is_some_and(|at| at.to_unix().0 + 60 < now.as_secs())
}

/// A pipe into a worker: its end, and ours.
pub fn to_worker() -> Result<(OwnedFd, pipe::Sender), Error> {
    let (reader, writer) = std::io::pipe().map_err(Error::host("create a pipe"))?;
    let writer = pipe::Sender::from_owned_fd(writer.into()).map_err(Error::host("create a pipe"))?;
    Ok((reader.into(), writer))
}

/// A pipe out of a worker: our end, and its.
pub fn from_worker() -> Result<(pipe::Receiver, OwnedFd), Error> {
    let (reader, writer) = std::io::pipe().map_err(Error::host("create a pipe"))?;
    let reader = pipe::Receiver::from_owned_fd(reader.into()).map_err(Error::host("create a pipe"))?;
    Ok((reader, writer.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_groups_of_a_while_ago_are_lost() {
        assert!(is_lost("worker-01900000-0000-7000-8000-000000000000"));
        assert!(!is_lost(&format!("{PREFIX}{}", Uuid::now_v7())));
        assert!(!is_lost("01900000-0000-7000-8000-000000000000") && !is_lost("worker-x") && !is_lost("shims"));
    }
}

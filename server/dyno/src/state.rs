//! What a driver knows of a dyno: its [state directory](shim::StateDir), and what follows from it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use api::ids::RunId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shim::{EXIT, Order, StateDir as Shared};

use crate::{Exit, Handle, Phase, Spec, Status};

/// The [error](Exit::error) of a dyno that was running, or about to, when this machine was restarted or its shim killed.
pub const LOST: &str = "The machine or the supervisor of this dyno was stopped.";

/// The description of a dyno, without secrets, kept until it is removed.
#[derive(Serialize, Deserialize)]
struct Record {
    name: String,
    port: Option<u16>,
    started_at: DateTime<Utc>,
}

/// The directory of one dyno, whether or not it exists.
#[derive(Clone)]
pub(crate) struct StateDir(Shared);

impl Deref for StateDir {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl StateDir {
    pub fn new(path: impl Into<PathBuf>) -> StateDir {
        StateDir(Shared::new(path))
    }

    pub fn id(&self) -> Option<RunId> {
        self.name().parse().ok()
    }

    /// Creates the directory with the files that a shim expects.
    pub fn create(&self, spec: &Spec, order: &Order, now: DateTime<Utc>) -> io::Result<()> {
        let record = Record { name: spec.name.clone(), port: spec.port, started_at: now };
        self.write("dyno.json", &record)?;
        self.write_order(order)
    }

    pub fn make_dir(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(self.path())
    }

    pub fn exit(&self) -> io::Result<Option<Exit>> {
        self.read(EXIT)
    }

    /// Whether the exit is recorded, or the dyno removed: nothing is written to its spool any more. Cheaper than the
    /// status; only the latter notices that a dyno was lost.
    pub fn has_ended(&self) -> bool {
        self.path().join(EXIT).exists() || !self.path().exists()
    }

    /// Takes the shim's lock; `None` while a shim, or another driver that is starting one, holds it.
    pub fn try_lock(&self) -> io::Result<Option<File>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(self.lock_path())?;
        // SAFETY: plain system call on an open descriptor.
        match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
            0 => Ok(Some(file)),
            _ => match io::Error::last_os_error() {
                e if e.kind() == ErrorKind::WouldBlock => Ok(None),
                e => Err(e),
            },
        }
    }

    /// The handle; `None` if there is no dyno here.
    pub fn handle(&self) -> io::Result<Option<Handle>> {
        let (Some(id), Some(record)) = (self.id(), self.read::<Record>("dyno.json")?) else {
            return Ok(None);
        };
        let lease = self.lease()?;
        Ok(Some(Handle {
            id,
            name: record.name,
            addr: lease.zip(record.port).map(|(lease, port)| SocketAddr::from((lease.address, port))),
            started_at: record.started_at,
        }))
    }

    /// The state of the dyno; `None` if there is none here. Records a lost dyno as exited.
    pub fn status(&self, now: DateTime<Utc>) -> io::Result<Option<Status>> {
        let Some(handle) = self.handle()? else { return Ok(None) };
        let phase = self.phase(now)?;
        Ok(Some(Status { handle, phase }))
    }

    fn phase(&self, now: DateTime<Utc>) -> io::Result<Phase> {
        if let Some(exit) = self.exit()? {
            return Ok(Phase::Exited(exit));
        }
        let Some(_lock) = self.try_lock()? else {
            return Ok(match self.is_ordered() {
                true => Phase::Starting,
                false => Phase::Running,
            });
        };
        // The shim may have exited between the two checks.
        if let Some(exit) = self.exit()? {
            return Ok(Phase::Exited(exit));
        }
        let exit = Exit::of_error(LOST, now);
        self.write(EXIT, &exit)?;
        self.forget_order()?;
        Ok(Phase::Exited(exit))
    }
}

/// The dynos' directories below `dynos`.
pub(crate) fn list(dynos: &Path) -> io::Result<Vec<StateDir>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dynos)? {
        let state = StateDir::new(entry?.path());
        if state.id().is_some() {
            found.push(state);
        }
    }
    Ok(found)
}

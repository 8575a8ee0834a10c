//! The state directory of a dyno: the information exchanged between its shim and any driver.
//!
//! ```text
//! spec.json   what to start, with secrets: 0600, deleted as soon as the command runs
//! dyno.json   name, port and start          net.json    its place in the network
//! shim.lock   flock'ed while the shim lives (the driver takes the lock and hands it over)
//! shim.pid    the shim                      shim.log    what went wrong inside it
//! exit.json   how it ended                  spool/      output
//! stopping    present once it got SIGTERM
//! disk.img    what the dyno writes          disk/, root/  mount points, empty outside
//! terminal.sock  of an attached process, until somebody is attached
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use api::ids::RunId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::addresses::Lease;
use crate::{Exec, Exit, Handle, Network, Phase, Spec, Status};

/// The [error](Exit::error) of a dyno that was running, or about to, when this machine was restarted or its shim killed.
pub const LOST: &str = "The machine or the supervisor of this dyno was stopped.";

/// The input of a shim.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    pub spec: Spec,
    pub network: Network,
    /// The control group of all dynos.
    pub group: String,
}

/// The input of the supervisor of a further process in a running dyno.
#[derive(Serialize, Deserialize)]
pub(crate) struct ExecOrder {
    pub id: RunId,
    /// The control group of all dynos.
    pub group: String,
    pub exec: Exec,
}

/// The description of a dyno, without secrets, kept until it is removed.
#[derive(Serialize, Deserialize)]
struct Record {
    name: String,
    port: Option<u16>,
    started_at: DateTime<Utc>,
}

/// One dyno's directory, whether or not it exists.
#[derive(Clone)]
pub(crate) struct StateDir {
    pub path: PathBuf,
}

impl StateDir {
    pub fn new(path: impl Into<PathBuf>) -> StateDir {
        StateDir { path: path.into() }
    }

    pub fn id(&self) -> Option<RunId> {
        self.path.file_name()?.to_str()?.parse().ok()
    }

    pub fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    pub fn log(&self) -> PathBuf {
        self.path.join("shim.log")
    }

    /// The image of the dyno's disk. Without one, disk/ is a directory like any other.
    pub fn image(&self) -> PathBuf {
        self.path.join("disk.img")
    }

    /// Where the disk is mounted.
    pub fn disk(&self) -> PathBuf {
        self.path.join("disk")
    }

    pub fn lock_path(&self) -> PathBuf {
        self.path.join("shim.lock")
    }

    /// Creates the directory with the files that a shim expects.
    pub fn create(&self, order: &Order, now: DateTime<Utc>) -> io::Result<()> {
        let record = Record { name: order.spec.name.clone(), port: order.spec.port, started_at: now };
        self.write("dyno.json", &record)?;
        self.write("spec.json", order)
    }

    pub fn make_dir(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path)
    }

    pub fn order(&self) -> io::Result<Order> {
        self.read("spec.json")?.ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Removes the secrets from the disk, which marks that the command is running.
    pub fn forget_order(&self) -> io::Result<()> {
        match fs::remove_file(self.path.join("spec.json")) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    pub fn write_lease(&self, lease: &Lease) -> io::Result<()> {
        self.write("net.json", lease)
    }

    pub fn lease(&self) -> io::Result<Option<Lease>> {
        self.read("net.json")
    }

    pub fn write_exit(&self, exit: &Exit) -> io::Result<()> {
        self.write("exit.json", exit)
    }

    pub fn exit(&self) -> io::Result<Option<Exit>> {
        self.read("exit.json")
    }

    /// Whether the exit is recorded, or the dyno removed: nothing is written to its spool any more. Cheaper than the
    /// status; only the latter notices that a dyno was lost.
    pub fn has_ended(&self) -> bool {
        self.path.join("exit.json").exists() || !self.path.exists()
    }

    /// Records that the dyno is being stopped: when its command has ended, its other processes may end by themselves.
    pub fn note_stopping(&self) -> io::Result<()> {
        fs::write(self.path.join("stopping"), "")
    }

    pub fn is_stopping(&self) -> bool {
        self.path.join("stopping").exists()
    }

    pub fn write_pid(&self) -> io::Result<()> {
        fs::write(self.path.join("shim.pid"), std::process::id().to_string())
    }

    pub fn pid(&self) -> Option<i32> {
        fs::read_to_string(self.path.join("shim.pid")).ok()?.parse().ok()
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

    /// Whether it is being started and its command is not running yet.
    pub fn is_ordered(&self) -> bool {
        self.path.join("spec.json").exists()
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
        self.write_exit(&exit)?;
        self.forget_order()?;
        Ok(Phase::Exited(exit))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Written to a temporary file first, so that readers see all of it or nothing.
    fn write(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let temporary = self.path.join(format!("{name}.tmp"));
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
        file.write_all(&serde_json::to_vec(value)?)?;
        fs::rename(&temporary, self.path.join(name))
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

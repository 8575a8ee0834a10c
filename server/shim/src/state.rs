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

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};

use crate::{Ended, Lease, Order};

/// One dyno's directory, whether or not it exists.
#[derive(Clone)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// The directory at `path`.
    pub fn new(path: impl Into<PathBuf>) -> StateDir {
        StateDir { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name, which is the dyno's id.
    pub fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The dyno's output.
    pub fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    /// What went wrong inside the shim.
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

    /// The file that is locked while the shim lives.
    pub fn lock_path(&self) -> PathBuf {
        self.path.join("shim.lock")
    }

    /// Writes what the shim has to do.
    pub fn write_order(&self, order: &Order) -> io::Result<()> {
        self.write(ORDER, order)
    }

    /// What the shim has to do.
    pub fn order(&self) -> io::Result<Order> {
        self.read(ORDER)?.ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Whether it is being started and its command is not running yet.
    pub fn is_ordered(&self) -> bool {
        self.path.join(ORDER).exists()
    }

    /// Removes the secrets from the disk, which marks that the command is running.
    pub fn forget_order(&self) -> io::Result<()> {
        match fs::remove_file(self.path.join(ORDER)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Records the dyno's place in the network.
    pub fn write_lease(&self, lease: &Lease) -> io::Result<()> {
        self.write("net.json", lease)
    }

    /// The dyno's place in the network, if it has one.
    pub fn lease(&self) -> io::Result<Option<Lease>> {
        self.read("net.json")
    }

    /// Records how the dyno ended.
    pub fn write_ended(&self, ended: &Ended) -> io::Result<()> {
        self.write(EXIT, ended)
    }

    /// Records that the dyno is being stopped: when its command has ended, its other processes may end by themselves.
    pub fn note_stopping(&self) -> io::Result<()> {
        fs::write(self.path.join("stopping"), "")
    }

    /// Whether the dyno is being stopped.
    pub fn is_stopping(&self) -> bool {
        self.path.join("stopping").exists()
    }

    /// Records this process as the shim.
    pub fn write_pid(&self) -> io::Result<()> {
        fs::write(self.path.join("shim.pid"), std::process::id().to_string())
    }

    /// The shim's process id.
    pub fn pid(&self) -> Option<i32> {
        fs::read_to_string(self.path.join("shim.pid")).ok()?.parse().ok()
    }

    /// Reads a file of JSON; `None` if it does not exist.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Writes a file of JSON; to a temporary file first, so that readers see all of it or nothing.
    pub fn write(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let temporary = self.path.join(format!("{name}.tmp"));
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
        file.write_all(&serde_json::to_vec(value)?)?;
        fs::rename(&temporary, self.path.join(name))
    }
}

/// The name of the order's file, which also says that the dyno is being started.
const ORDER: &str = "spec.json";
/// The name of the file that says how the dyno ended.
pub const EXIT: &str = "exit.json";

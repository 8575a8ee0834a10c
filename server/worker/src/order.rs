//! The specification of a worker.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The specification of a worker, except its open files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The work.
    pub work: Work,
    /// User and group id of the work.
    pub user: u32,
    /// The host's files that it sees in addition to programs and libraries.
    pub shows: Vec<Shown>,
    /// Its network access.
    pub network: Network,
    /// Its resource limits.
    pub limits: Limits,
}

/// The work of a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Work {
    /// Runs a program of this machine.
    Program(Program),
    /// Runs a function of the platform; see [`Task`](crate::Task).
    Task {
        /// Its name in the list of tasks.
        name: String,
        /// The task itself.
        words: serde_json::Value,
    },
}

/// A program of this machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Program {
    /// Its name, looked up in `PATH`.
    pub name: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment, apart from `PATH`.
    pub env: Vec<(String, String)>,
    /// Its working directory; `/` by default.
    pub folder: PathBuf,
}

impl Program {
    /// A program without arguments and environment.
    pub fn new(name: &str) -> Program {
        Program { name: name.into(), args: Vec::new(), env: Vec::new(), folder: "/".into() }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Program {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Program {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds a variable.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Program {
        self.env.push((name.into(), value.into()));
        self
    }
}

/// A bind mount of a file or directory of the host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// Its path on the host: absolute, without symbolic links.
    pub from: PathBuf,
    /// Its path in the worker: absolute.
    pub to: PathBuf,
    /// Whether the worker can write to it (its user needs the permission, too).
    pub writable: bool,
}

impl Shown {
    /// A read-only mount.
    pub fn read(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Shown {
        Shown { from: from.as_ref().into(), to: to.as_ref().into(), writable: false }
    }

    /// A writable mount.
    pub fn write(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Shown {
        Shown { writable: true, ..Shown::read(from, to) }
    }
}

/// The network access of a worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Network {
    /// None: its network namespace is empty, and it cannot create sockets.
    None,
    /// The host's network, with its name servers and certificates. For downloads.
    Host,
}

/// The resource limits of a worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of all its processes together, in bytes; file caches are reclaimed first.
    pub memory_bytes: u64,
    /// Maximum number of processes and threads.
    pub processes: u64,
    /// Size of each file that it writes, in bytes.
    pub file_bytes: u64,
    /// Open files per process.
    pub open_files: u64,
    /// CPU time per process.
    pub cpu: Duration,
    /// Wall-clock time.
    pub time: Duration,
}

impl Default for Limits {
    /// Enough for small tasks: 256 MB of memory, files of 1 GB, a minute.
    fn default() -> Limits {
        Limits {
            memory_bytes: 256 << 20,
            processes: 32,
            file_bytes: 1 << 30,
            open_files: 256,
            cpu: Duration::from_secs(60),
            time: Duration::from_secs(60),
        }
    }
}

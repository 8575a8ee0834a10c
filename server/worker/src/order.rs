//! What a worker is started from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Everything that a worker is told, but for what it is handed as open files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// What is to be done.
    pub work: Work,
    /// User and group id of the work.
    pub user: u32,
    /// What of the host's files it sees besides programs and libraries.
    pub shows: Vec<Shown>,
    /// What it can reach.
    pub network: Network,
    /// What it may use up.
    pub limits: Limits,
}

/// What a worker does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Work {
    /// Becomes a program of this machine.
    Program(Program),
    /// Runs a function of ours; see [`Errand`](crate::Errand).
    Errand {
        /// Its name in the list of errands.
        name: String,
        /// The errand itself.
        words: serde_json::Value,
    },
}

/// A program of this machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Program {
    /// Its name, looked for where programs are.
    pub name: String,
    /// What it is called with.
    pub args: Vec<String>,
    /// Its whole environment, apart from `PATH`.
    pub env: Vec<(String, String)>,
    /// Where it is run; `/` unless said otherwise.
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

/// A file or directory of the host, shown at another place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// Where it is on the host: an absolute path without symbolic links.
    pub from: PathBuf,
    /// Where the worker sees it: an absolute path.
    pub to: PathBuf,
    /// Whether the worker may write to it (its user must have the right, too).
    pub writable: bool,
}

impl Shown {
    /// To be read only.
    pub fn read(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Shown {
        Shown { from: from.as_ref().into(), to: to.as_ref().into(), writable: false }
    }

    /// To be written to as well.
    pub fn write(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Shown {
        Shown { writable: true, ..Shown::read(from, to) }
    }
}

/// What a worker can reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Network {
    /// Nothing: its network namespace is empty, and it can make no sockets.
    None,
    /// What the host can reach, with its name servers and certificates. For downloads.
    Host,
}

/// What a worker may use up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of all its processes together, in bytes; caches of files are given back before.
    pub memory_bytes: u64,
    /// Processes and threads at one time.
    pub processes: u64,
    /// Size of any file that it writes, in bytes.
    pub file_bytes: u64,
    /// Open files of each process.
    pub open_files: u64,
    /// Time on the processor, of each process.
    pub cpu: Duration,
    /// Time from its start to its end.
    pub time: Duration,
}

impl Default for Limits {
    /// Enough for small things: 256 MB of memory, files of 1 GB, a minute.
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

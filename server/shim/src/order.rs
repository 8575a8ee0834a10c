//! What a shim has to do.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::confine::Filters;
use crate::terminal::Terminal;
use crate::{Limits, Network};

/// The input of a shim, with secrets.
#[derive(Serialize, Deserialize)]
pub struct Order {
    /// The name of the dyno on this host: of its control groups, and its host name.
    pub id: String,
    /// User and group id of the app.
    pub uid: u32,
    /// The program and its arguments, run in /app.
    pub arguments: Vec<String>,
    /// The environment, as `NAME=VALUE`.
    pub environment: Vec<String>,
    /// Its root file system on top of the stack's.
    pub root: Mounts,
    /// The resource limits.
    pub limits: Limits,
    /// Time limit of the command. `None` for no limit.
    pub time: Option<Duration>,
    /// The terminal or pipes of a command that somebody is attached to. `None` if its output is spooled.
    pub terminal: Option<Terminal>,
    /// The address range of dynos.
    pub network: Network,
    /// The control group of all dynos.
    pub group: String,
    /// The filters on system calls.
    pub filters: Filters,
}

/// The input of the supervisor of a further process in a running dyno, with secrets.
#[derive(Serialize, Deserialize)]
pub struct ExecOrder {
    /// The dyno, as in [`Order`].
    pub id: String,
    /// User and group id of the app.
    pub uid: u32,
    /// The program and its arguments, run in /app.
    pub arguments: Vec<String>,
    /// The environment, as `NAME=VALUE`.
    pub environment: Vec<String>,
    /// Its terminal or pipes.
    pub terminal: Terminal,
    /// The control group of all dynos.
    pub group: String,
    /// The filters on system calls.
    pub filters: Filters,
}

/// The directories of a dyno besides the stack's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mounts {
    /// What to run.
    pub artifact: Artifact,
    /// Further mounts, in this order.
    pub binds: Vec<Bind>,
}

/// What a dyno runs. /app is always private to the dyno and writable.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Artifact {
    /// An unpacked slug in /app, shared and unmodified: the dyno writes to a layer above it.
    Slug(PathBuf),
    /// The stack alone, with an empty /app.
    Empty,
}

/// A file or directory of the host shown inside the dyno.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bind {
    /// Path on the host; it must exist.
    pub from: PathBuf,
    /// Absolute path inside the dyno; created if missing.
    pub to: PathBuf,
    /// Whether the dyno can write to it (its user needs the permission, too).
    pub writable: bool,
}

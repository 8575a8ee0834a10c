//! The specification of a dyno, and its state.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use api::ids::RunId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shim::terminal::Terminal;

use crate::{Limits, Mounts};

/// The specification of a dyno.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// Unique per run of a process: a restarted `web.1` has a new one.
    pub id: RunId,
    /// `web.1`, `run.1234`, `release.1`, `build.12`; the app sees it as `DYNO`.
    pub name: String,
    /// User and group id of the app, one of [`uids::APPS`](crate::uids::APPS).
    pub uid: u32,
    /// Run by bash in /app, after `.profile.d/*.sh` and `.profile`; see also `raw`.
    pub command: String,
    /// The environment. `DYNO` and `PORT` are set by the driver; `HOME` (/app), `PATH`, `USER`, `LANG` and
    /// `MEMORY_AVAILABLE` (the quota in MB) are set if they are missing.
    pub env: BTreeMap<String, String>,
    /// The artifact to run, and further mounts: its root file system on top of the stack's.
    pub root: Mounts,
    /// The resource limits.
    pub limits: Limits,
    /// For a web process: the port that it must listen on, exported as `PORT`.
    pub port: Option<u16>,
    /// Whether `command` is run by `sh -c` without profile scripts, as builds are.
    pub raw: bool,
    /// Time limit of the command, enforced by its shim, whether or not a server is running. `None` for no limit.
    #[serde(default)]
    pub time: Option<Duration>,
    /// The terminal or pipes of a process that somebody is attached to; its output is not spooled. If nobody
    /// [attaches](crate::Driver::attach) within a minute, or the attachment is lost, the process gets SIGHUP, and is
    /// killed if it does not end within 30 seconds.
    #[serde(default)]
    pub terminal: Option<Terminal>,
}

/// A further process in a running dyno, with its user, namespaces, control groups and system call filters.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Exec {
    /// As in [`Spec`].
    pub name: String,
    /// As in [`Spec`].
    pub uid: u32,
    /// As in [`Spec`].
    pub command: String,
    /// As in [`Spec`].
    pub env: BTreeMap<String, String>,
    /// The memory quota of the dyno, in bytes.
    pub memory_bytes: u64,
    /// Its terminal or pipes.
    pub terminal: Terminal,
}

/// The phases of a dyno: `Starting → Running → Exited`, or from the first to the last.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Phase {
    /// Its shim is creating its namespaces.
    Starting,
    /// Its command runs. It need not listen on its port yet.
    Running,
    /// It has ended.
    Exited(Exit),
}

/// How a dyno ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Exit {
    /// When the end was noticed.
    pub at: DateTime<Utc>,
    /// Exit status of the command, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that killed the command, if one did.
    pub signal: Option<i32>,
    /// Whether the kernel killed one of its processes because the dyno had reached its memory limit.
    pub oom: bool,
    /// Whether the kernel killed one because all dynos together were out of memory.
    #[serde(default)]
    pub crowded: bool,
    /// A message, if the dyno could not be started or was lost with its shim.
    pub error: Option<String>,
}

impl Exit {
    /// An exit that the dyno's own command did not cause.
    pub(crate) fn of_error(sentence: impl Into<String>, at: DateTime<Utc>) -> Exit {
        Exit { at, code: None, signal: None, oom: false, crowded: false, error: Some(sentence.into()) }
    }

    /// The status as in a shell: the code, or 128 plus the signal. 1 if it never ran.
    pub fn status(&self) -> i32 {
        match (self.code, self.signal) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal,
            (None, None) => 1,
        }
    }
}

/// A started dyno, and its address.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Handle {
    /// The spec's id.
    pub id: RunId,
    /// The spec's name.
    pub name: String,
    /// The address of a web process on this host. `None` without a port, and until the network exists.
    pub addr: Option<SocketAddr>,
    /// When its shim started.
    pub started_at: DateTime<Utc>,
}

/// The current state of a dyno.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The dyno.
    pub handle: Handle,
    /// Its phase.
    pub phase: Phase,
}

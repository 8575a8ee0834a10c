//! What a dyno is started from, and what can be said of it afterwards.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::disks;

/// Everything that a dyno is started from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// Unique per run of a process: a restarted `web.1` has a new one.
    pub id: Uuid,
    /// `web.1`, `run.1234`, `release.1`, `build.12`; the app sees it as `DYNO`.
    pub name: String,
    /// User and group id of the app, one of [`uids::APPS`](crate::uids::APPS).
    pub uid: u32,
    /// Run by bash in /app, after `.profile.d/*.sh` and `.profile`; see also `raw`.
    pub command: String,
    /// The environment. `DYNO` and `PORT` are set by the driver; `HOME` (/app), `PATH`, `USER`,
    /// `LANG` and `MEMORY_AVAILABLE` (the quota in MB) are set where they are missing.
    pub env: BTreeMap<String, String>,
    /// What is at /app, and what else is to be seen.
    pub root: Mounts,
    /// What it may use up.
    pub limits: Limits,
    /// For a web process: the port that it must listen on, exported as `PORT`.
    pub port: Option<u16>,
    /// Whether `command` is run by `sh -c` without profile scripts, as builds are.
    pub raw: bool,
    /// How long the command may run: then its shim kills it, whether or not a server is there. For ever without.
    #[serde(default)]
    pub time: Option<Duration>,
}

/// The directories of a dyno that are not the stack's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mounts {
    /// What is at /app.
    pub app: AppDir,
    /// What else is mounted, in this order.
    pub binds: Vec<Bind>,
}

/// What is at /app, which is always private to the dyno and writable.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum AppDir {
    /// An unpacked slug, shared and left as it is: what the dyno writes lies in a layer above it.
    Slug(PathBuf),
    /// Nothing.
    Empty,
}

/// A file or directory of the host shown inside the dyno.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bind {
    /// Path on the host; it must exist.
    pub from: PathBuf,
    /// Absolute path inside the dyno; made if missing.
    pub to: PathBuf,
    /// Whether the dyno may write to it (its user must have the right, too).
    pub writable: bool,
}

/// What a dyno may use up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// The quota in bytes. Going over it has no effect here; it is for whoever reads the [`Stats`].
    pub memory_bytes: u64,
    /// Hard limit in bytes: above it the kernel kills a process of the dyno.
    pub memory_max_bytes: u64,
    /// Weight among the processes that want the processor; 1024 is the usual.
    pub cpu_shares: u64,
    /// Microseconds of processor time per 100 ms; 0 for no limit.
    pub cpu_quota_us: u64,
    /// Most processes and threads at one time.
    pub pids: u64,
    /// What it may write to /app and /tmp.
    #[serde(default)]
    pub disk: disks::Size,
}

impl Default for Limits {
    /// A small dyno: 512 MB, killed at five times that, 256 processes and threads, 10 GB of disk.
    fn default() -> Self {
        Limits {
            memory_bytes: 512 << 20,
            memory_max_bytes: 5 * (512 << 20),
            cpu_shares: 1024,
            cpu_quota_us: 0,
            pids: 256,
            disk: disks::Size::default(),
        }
    }
}

/// Where a dyno is in its life: `Starting → Running → Exited`, or from the first to the last.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Phase {
    /// Its shim is making its namespaces.
    Starting,
    /// Its command runs. Whether it listens on its port is another question.
    Running,
    /// It is over.
    Exited(Exit),
}

/// How a dyno ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Exit {
    /// When it was noticed.
    pub at: DateTime<Utc>,
    /// Exit status of the command, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that killed the command, if one did.
    pub signal: Option<i32>,
    /// Whether the kernel killed one of its processes because it was at its limit of memory.
    pub oom: bool,
    /// Whether the kernel killed one because all together had too little memory.
    #[serde(default)]
    pub crowded: bool,
    /// A sentence, when the dyno could not be started or was lost with its supervisor.
    pub error: Option<String>,
}

impl Exit {
    /// An exit that the dyno's own command did not bring about.
    pub(crate) fn of_error(sentence: impl Into<String>, at: DateTime<Utc>) -> Exit {
        Exit { at, code: None, signal: None, oom: false, crowded: false, error: Some(sentence.into()) }
    }

    /// The status as a shell has it: the code, or 128 and the signal. 1 if it never ran.
    pub fn status(&self) -> i32 {
        match (self.code, self.signal) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal,
            (None, None) => 1,
        }
    }
}

/// A dyno that was started, and where to find it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Handle {
    /// The spec's id.
    pub id: Uuid,
    /// The spec's name.
    pub name: String,
    /// Where a web process is reached from this host. `None` without a port, and until the network
    /// exists.
    pub addr: Option<SocketAddr>,
    /// When its shim took it over.
    pub started_at: DateTime<Utc>,
    /// The directory of its output; see the crate `spool`.
    pub spool: PathBuf,
}

/// A dyno as it is now.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Which one.
    pub handle: Handle,
    /// Where it is in its life.
    pub phase: Phase,
}

/// What a running dyno uses.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Stats {
    /// Anonymous memory, in bytes.
    pub memory_rss: u64,
    /// Page cache, in bytes; can be had back.
    pub memory_cache: u64,
    /// Swapped out, in bytes.
    pub memory_swap: u64,
    /// Processor time since the start, in nanoseconds.
    pub cpu_ns: u64,
    /// Processes and threads now.
    pub pids: u64,
    /// Processes killed for want of memory since the start.
    pub oom_kills: u64,
}

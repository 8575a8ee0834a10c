//! What a driver is asked and what it answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Everything about a process to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// One run of a process; a restarted dyno has another.
    pub id: Uuid,
    /// `web.1`
    pub name: String,
    /// User and group of the app.
    pub uid: u32,
    /// Run by bash in `/app`, after the profile scripts; or by sh when `raw`.
    pub command: String,
    /// The whole environment; `PORT`, `DYNO` and `HOME` are added.
    pub env: BTreeMap<String, String>,
    pub root: Mounts,
    pub limits: Limits,
    /// Set for web processes: where to listen.
    pub port: Option<u16>,
    /// Without profile scripts: for builds.
    pub raw: bool,
}

/// What the process sees besides the machine's own stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mounts {
    pub app: AppDir,
    pub binds: Vec<Bind>,
}

/// What is at `/app`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AppDir {
    /// A slug, shared and read-only, below a private writable layer.
    Slug(PathBuf),
    /// Nothing yet, writable.
    Empty,
}

/// A folder of the host, seen inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bind {
    pub from: PathBuf,
    /// Absolute, inside the dyno; made when missing.
    pub to: PathBuf,
    pub writable: bool,
}

/// What the process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes: the quota. Above it, R14.
    pub memory_bytes: u64,
    /// Bytes: the kernel kills above this.
    pub memory_max_bytes: u64,
    pub cpu_shares: u64,
    /// Microseconds in each 100 ms; 0 for no limit.
    pub cpu_quota_us: u64,
    /// Processes and threads.
    pub pids: u64,
}

/// How a process is.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    Starting,
    Running,
    Exited(Exit),
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    pub at: DateTime<Utc>,
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// Whether the kernel killed any of its processes for want of memory.
    pub oom: bool,
    /// Why it could not even be started, or was lost: a sentence.
    pub error: Option<String>,
}

/// A dyno that was started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Handle {
    pub id: Uuid,
    pub name: String,
    /// Where the host reaches its port.
    pub addr: Option<SocketAddr>,
    pub started_at: DateTime<Utc>,
    /// Its output; see the crate `spool`.
    pub spool: PathBuf,
}

/// A dyno and how it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    pub handle: Handle,
    pub phase: Phase,
}

/// What a dyno uses now. Bytes, and nanoseconds since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub memory_rss: u64,
    pub memory_cache: u64,
    pub memory_swap: u64,
    pub cpu_ns: u64,
    pub pids: u64,
    pub oom_kills: u64,
}

/// Why a driver could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine lacks something; the sentence says what, and how to get it.
    #[error("{0}")]
    Missing(String),
    /// No dyno has this id.
    #[error("there is no dyno {0}")]
    Unknown(Uuid),
    /// Anything else.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

/// Starts processes on this host.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// Starts a dyno and returns once its shim runs. Starting one that exists does nothing.
    async fn start(&self, spec: &Spec) -> Result<Handle, Error>;
    /// How a dyno is; `None` when there is none with this id.
    async fn status(&self, id: Uuid) -> Result<Option<Status>, Error>;
    /// All dynos, those that ended included.
    async fn list(&self) -> Result<Vec<Status>, Error>;
    /// Sends a signal to every process of a dyno. One that has ended gets none.
    async fn signal(&self, id: Uuid, signal: i32) -> Result<(), Error>;
    /// Kills what is left of a dyno and removes all traces, its output too.
    async fn remove(&self, id: Uuid) -> Result<(), Error>;
    /// What a dyno uses; `None` when it does not run.
    async fn stats(&self, id: Uuid) -> Result<Option<Stats>, Error>;
    /// Waits until a dyno has ended.
    async fn wait(&self, id: Uuid) -> Result<Exit, Error>;
}

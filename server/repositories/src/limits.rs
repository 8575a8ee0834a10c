//! The limits of git.

use std::time::Duration;

/// The limits of git per app, set by the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GitLimits {
    /// Size of a push, in bytes.
    pub push_bytes: u64,
    /// Total size of the files of a deployed commit, in bytes.
    pub checkout_bytes: u64,
    /// A repository on disk, in bytes.
    pub repository_bytes: u64,
    /// Memory of one clone or push.
    pub memory_bytes: u64,
    /// Time limit of a clone, or of the upload of a push.
    pub time: Duration,
}

impl GitLimits {
    /// Size of the archive of a commit with its submodules, in bytes: headers at most double it.
    pub fn archive_bytes(&self) -> u64 {
        self.checkout_bytes.saturating_mul(2).saturating_add(64 << 20)
    }
}

impl Default for GitLimits {
    fn default() -> Self {
        Self {
            push_bytes: 2 << 30,
            checkout_bytes: 1 << 30,
            repository_bytes: 8 << 30,
            memory_bytes: 512 << 20,
            time: Duration::from_secs(3600),
        }
    }
}

/// Maximum number of files and folders of a deployed commit.
pub(crate) const MOST_FILES: u64 = 250_000;
/// Maximum number of refs that one push may change.
pub(crate) const MOST_REFS: usize = 1_000;
/// Maximum size of a request for a clone: its wants and haves.
pub(crate) const MOST_WANTS_BYTES: u64 = 16 << 20;
/// A client that is silent for this long has disconnected; it is also the time limit for everything that a client sends
/// before it gets a slot.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);
/// Maximum size of the beginning of a clone or push that is read before there is a slot for it.
pub(crate) const BEGINNING: usize = 64 << 10;
/// Fewer bytes than this per [`SILENCE`], about a kilobyte per second, count as silence.
pub(crate) const PACE: usize = 64 << 10;
/// A push waits for earlier builds, its own build, and its first dyno.
pub(crate) const PUSH: Duration = Duration::from_secs(24 * 3600);

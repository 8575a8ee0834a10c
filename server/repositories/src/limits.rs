//! The limits of git.

use std::time::Duration;

/// The limits of git per app, set by the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GitLimits {
    /// Size of a push, in bytes.
    pub push_bytes: u64,
    /// The files of a commit that is deployed, all together, in bytes.
    pub checkout_bytes: u64,
    /// A repository on disk, in bytes.
    pub repository_bytes: u64,
    /// Memory of one clone or push.
    pub memory_bytes: u64,
    /// Time limit of a clone, or of the upload of a push.
    pub time: Duration,
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

/// Files and folders of a commit that is deployed.
pub(crate) const MOST_FILES: u64 = 250_000;
/// Refs that one push may change.
pub(crate) const MOST_REFS: usize = 1_000;
/// What a client may say to get a clone: what it wants and what it has.
pub(crate) const MOST_WANTS_BYTES: u64 = 16 << 20;
/// A client that says nothing for so long is gone; and what comes before there is a place has so long in all.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);
/// What a clone or a push begins with, as far as it is read before there is a place for it.
pub(crate) const BEGINNING: usize = 64 << 10;
/// Less than so many bytes in [`SILENCE`], about a kilobyte in a second, are as good as nothing.
pub(crate) const PACE: usize = 64 << 10;
/// A push waits for builds before its own, for its build, and for its first dyno.
pub(crate) const PUSH: Duration = Duration::from_secs(24 * 3600);

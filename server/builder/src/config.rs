//! Settings for all builds of a host.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dyno::Limits;

use crate::runtime_requests::Supply;

/// Directories and limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// Root's directory for unfinished trees and slugs; on the same disk as the slugs.
    pub tmp: PathBuf,
    /// A build that takes longer fails.
    pub time_limit: Duration,
    /// Bytes of a slug, compressed.
    pub slug_limit: u64,
    /// Resource limits of a build dyno.
    pub limits: Limits,
    /// Directories whose buildpacks (`file://`) can be used even if they are not world-readable.
    pub local_buildpacks: Vec<PathBuf>,
    /// Provides the runtimes of this machine. Without it, the Node.js buildpack fails.
    pub runtimes: Option<Arc<dyn Supply>>,
}

impl Config {
    /// Heroku's limits, in the platform's data directory.
    pub fn new(data: &Path) -> Config {
        Config {
            tmp: data.join("tmp"),
            time_limit: Duration::from_secs(15 * 60),
            slug_limit: 500 << 20,
            limits: Limits {
                memory_bytes: 4 << 30,
                memory_max_bytes: 4 << 30,
                cpu_shares: 512,
                cpu_quota_us: 0,
                pids: 4096,
                disk: dyno::disks::Size::of(20 << 30),
            },
            local_buildpacks: Vec::new(),
            runtimes: None,
        }
    }
}

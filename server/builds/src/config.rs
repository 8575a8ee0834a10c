//! The settings of this area.

use std::ops::Deref;

use repositories::GitLimits;

/// The operator's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The settings of the area below.
    pub platform: platform::Config,
    /// The maximum number of concurrent builds.
    pub build_concurrency: usize,
    /// The user that downloads sources, for whom the host's firewall blocks non-public addresses. One per host, except
    /// in tests.
    pub downloads: u32,
    /// The limits of clones and pushes.
    pub git: GitLimits,
    /// The disk of a build.
    pub build_disk: dyno::disks::Size,
    /// The URL of the npm registry from which runtimes are downloaded.
    pub npm_registry: String,
}

impl Deref for Config {
    type Target = platform::Config;

    fn deref(&self) -> &platform::Config {
        &self.platform
    }
}

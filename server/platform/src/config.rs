//! What the platform is told at its start.

use std::{ops::Deref, path::PathBuf, time::Duration};

use base::settings::Settings;

/// Settings, all of them decided by whoever starts the platform.
#[derive(Clone, Debug)]
pub struct Config {
    /// What every area has to know.
    pub settings: Settings,
    /// Sockets; in a short path.
    pub run: PathBuf,
    /// Builds that run at once.
    pub build_concurrency: usize,
    /// How often queues are looked at although nobody says that they have changed.
    pub queue_interval: Duration,
    /// The user of what fetches sources, to whom the host's network closes what is not public. One per
    /// host, but for tests.
    pub downloads: u32,
    /// What clones and pushes may use up.
    pub git: repositories::GitLimits,
    /// What holds for all dynos of this host. The doors are added.
    pub host: dyno::Host,
    /// What a dyno may write.
    pub dyno_disk: dyno::disks::Size,
    /// What a build may write.
    pub build_disk: dyno::disks::Size,
}

impl Deref for Config {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

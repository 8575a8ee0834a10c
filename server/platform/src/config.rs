//! The platform's settings.

use std::{ops::Deref, path::PathBuf, time::Duration};

use base::settings::Settings;

/// The operator's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The settings of all areas.
    pub settings: Settings,
    /// Sockets; in a short path.
    pub run: PathBuf,
    /// Builds that run at once.
    pub build_concurrency: usize,
    /// How often queues are checked without a notification.
    pub queue_interval: Duration,
    /// The user of what fetches sources, to whom the host's network closes what is not public. One per
    /// host, but for tests.
    pub downloads: u32,
    /// The limits of clones and pushes.
    pub git: repositories::GitLimits,
    /// Settings for all dynos of this host. The allowed ports are added.
    pub host: dyno::Host,
    /// The disk of a dyno.
    pub dyno_disk: dyno::disks::Size,
    /// The disk of a build.
    pub build_disk: dyno::disks::Size,
}

impl Deref for Config {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

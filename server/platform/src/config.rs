//! The platform's settings.

use std::{ops::Deref, path::PathBuf, time::Duration};

use base::settings::Settings;

/// The operator's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The settings of all areas.
    pub settings: Settings,
    /// The directory of sockets, whose path has to be short.
    pub run: PathBuf,
    /// How often queues are checked without a notification.
    pub queue_interval: Duration,
    /// Settings for all dynos of this host. The allowed ports are added.
    pub host: dyno::Host,
    /// The disk of a dyno.
    pub dyno_disk: dyno::disks::Size,
}

impl Deref for Config {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

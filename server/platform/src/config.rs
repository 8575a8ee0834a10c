//! The platform's settings.

use std::{net::SocketAddr, ops::Deref, path::PathBuf, time::Duration};

use base::settings::Settings;

/// The operator's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The settings of all areas.
    pub settings: Settings,
    /// The directory of sockets, whose path has to be short.
    pub run: PathBuf,
    /// How often queues are checked, and all apps are looked at by the supervisor, without a notification.
    pub queue_interval: Duration,
    /// Settings for all dynos of this host. The allowed ports are added.
    pub host: dyno::Host,
    /// The disk of a dyno.
    pub dyno_disk: dyno::disks::Size,
    /// The port through which Heroku's clients attach to terminals, if they can.
    pub rendezvous: Option<Rendezvous>,
}

/// A port that speaks Heroku's rendezvous protocol.
#[derive(Clone, Debug)]
pub struct Rendezvous {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The files with its certificate chain and private key, in PEM. Without them, a proxy in front terminates TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
}

impl Deref for Config {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

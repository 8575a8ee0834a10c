//! The handle of this area.

use std::{ops::Deref, sync::Arc};

use axum::extract::FromRef;
use base::{Base, Kind, places::Places};
use platform::{Platform, running::Running};
use tokio::sync::Notify;

use crate::{config::Config, git::Git};

/// What the routes, jobs and reconcilers of this area need. Cheap to clone.
#[derive(Clone)]
pub struct Builds(Arc<Inner>);

struct Inner {
    platform: Platform,
    config: Config,
    running: Running,
    git: Git,
    slug_checks: Places,
    uploads: Places,
    wake: Arc<Notify>,
}

impl Builds {
    /// Over `platform`, for work that is yet to begin.
    pub(crate) fn new(platform: Platform, config: Config) -> Self {
        let git = Git::new(&platform, config.git);
        Self(Arc::new(Inner {
            running: Running::default(),
            git,
            slug_checks: Places::new("upload checks", 2, 16, 4),
            uploads: Places::new("uploads", 4, 0, 32),
            // A suspension cancels builds.
            wake: platform.waker(&[Kind::App, Kind::Build, Kind::Account]),
            platform,
            config,
        }))
    }

    /// The area below.
    pub fn platform(&self) -> &Platform {
        &self.0.platform
    }

    /// The settings given at start-up.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The builds that run in this process.
    pub(crate) fn running(&self) -> &Running {
        &self.0.running
    }

    /// The repositories.
    pub(crate) fn git(&self) -> &Git {
        &self.0.git
    }

    /// Places to have an uploaded slug checked.
    pub(crate) fn slug_checks(&self) -> &Places {
        &self.0.slug_checks
    }

    /// Places to upload something.
    pub(crate) fn uploads(&self) -> &Places {
        &self.0.uploads
    }

    /// The waker of the queue.
    pub(crate) fn waker_of_queue(&self) -> &Arc<Notify> {
        &self.0.wake
    }
}

impl Deref for Builds {
    type Target = Platform;

    fn deref(&self) -> &Platform {
        &self.0.platform
    }
}

impl FromRef<Builds> for Platform {
    fn from_ref(builds: &Builds) -> Self {
        builds.platform().clone()
    }
}

impl FromRef<Builds> for Base {
    fn from_ref(builds: &Builds) -> Self {
        builds.base().clone()
    }
}

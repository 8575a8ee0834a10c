//! The handle of this area.

use std::{ops::Deref, sync::Arc};

use api::ids::BuildId;
use axum::extract::FromRef;
use base::{Base, Kind, slots::Slots};
use platform::{Platform, running::Running};
use tokio::sync::Notify;

use crate::{config::Config, git::Git, runtimes::Runtimes};

/// What the routes, jobs and reconcilers of this area need. Cheap to clone.
#[derive(Clone)]
pub struct Builds(Arc<Inner>);

struct Inner {
    platform: Platform,
    config: Config,
    running: Running<BuildId>,
    git: Git,
    runtimes: Runtimes,
    slug_checks: Slots,
    uploads: Slots,
    wake: Arc<Notify>,
}

impl Builds {
    /// Builds on `platform`, with the runtimes of this server; the work is not started yet.
    pub(crate) fn new(platform: Platform, config: Config, runtimes: Runtimes) -> Self {
        let git = Git::new(&platform, config.git);
        Self(Arc::new(Inner {
            running: Running::default(),
            git,
            runtimes,
            slug_checks: Slots::new("upload checks", 2, 16, 4),
            uploads: Slots::new("uploads", 4, 0, 32),
            // A suspension cancels builds, and releases decide about those that wait for them.
            wake: platform.waker(&[Kind::App, Kind::Build, Kind::Release, Kind::Account]),
            platform,
            config,
        }))
    }

    /// The handle of the area below.
    pub fn platform(&self) -> &Platform {
        &self.0.platform
    }

    /// The settings given at startup.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The builds that run in this process.
    pub(crate) fn running(&self) -> &Running<BuildId> {
        &self.0.running
    }

    /// The repositories.
    pub(crate) fn git(&self) -> &Git {
        &self.0.git
    }

    /// The runtimes of this server.
    pub(crate) fn runtimes(&self) -> &Runtimes {
        &self.0.runtimes
    }

    /// Slots for checking uploaded slugs.
    pub(crate) fn slug_checks(&self) -> &Slots {
        &self.0.slug_checks
    }

    /// Slots for uploads.
    pub(crate) fn uploads(&self) -> &Slots {
        &self.0.uploads
    }

    /// Wakes the queue.
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

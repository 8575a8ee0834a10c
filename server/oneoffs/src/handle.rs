//! The handle of this area.

use std::{ops::Deref, sync::Arc};

use axum::extract::FromRef;
use base::{Base, Kind};
use platform::Platform;
use tokio::sync::Notify;

use crate::terminals::openings::Terminals;

/// What the routes and the reconciler of this area need. Cheap to clone.
#[derive(Clone)]
pub struct OneOffs(Arc<Inner>);

struct Inner {
    platform: Platform,
    terminals: Terminals,
    wake: Arc<Notify>,
}

impl OneOffs {
    /// Builds on `platform`; the work is not started yet.
    pub fn new(platform: Platform) -> Self {
        Self(Arc::new(Inner {
            terminals: Terminals::default(),
            // A suspension stops one-off dynos.
            wake: platform.waker(&[Kind::Account, Kind::App, Kind::Dyno, Kind::Slug]),
            platform,
        }))
    }

    /// The handle of the area below.
    pub fn platform(&self) -> &Platform {
        &self.0.platform
    }

    /// Terminals that somebody is about to attach to, and slots for the others.
    pub(crate) fn terminals(&self) -> &Terminals {
        &self.0.terminals
    }

    /// Wakes the reconciler.
    pub(crate) fn waker(&self) -> &Arc<Notify> {
        &self.0.wake
    }
}

impl Deref for OneOffs {
    type Target = Platform;

    fn deref(&self) -> &Platform {
        &self.0.platform
    }
}

impl FromRef<OneOffs> for Base {
    fn from_ref(one_offs: &OneOffs) -> Self {
        one_offs.base().clone()
    }
}

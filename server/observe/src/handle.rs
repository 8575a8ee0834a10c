//! The handle of this area.

use std::{ops::Deref, sync::Arc};

use axum::extract::FromRef;
use base::Base;
use platform::Platform;

use crate::live::{feed_list::Feeds, followers::Followers};

/// What the routes of this area need. Cheap to clone.
#[derive(Clone)]
pub struct Observe {
    platform: Platform,
    feeds: Arc<Feeds>,
    followers: Arc<Followers>,
}

impl Observe {
    /// Builds on `platform`.
    pub(crate) fn new(platform: Platform) -> Self {
        Self { platform, feeds: Arc::default(), followers: Arc::default() }
    }

    /// The handle of the area below.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The feeds of pages.
    pub(crate) fn feeds(&self) -> &Feeds {
        &self.feeds
    }

    /// The followers of changes.
    pub(crate) fn followers(&self) -> &Arc<Followers> {
        &self.followers
    }
}

impl Deref for Observe {
    type Target = Platform;

    fn deref(&self) -> &Platform {
        &self.platform
    }
}

impl FromRef<Observe> for Platform {
    fn from_ref(observe: &Observe) -> Self {
        observe.platform.clone()
    }
}

impl FromRef<Observe> for Base {
    fn from_ref(observe: &Observe) -> Self {
        observe.base().clone()
    }
}

//! The handle of this area.

use std::ops::Deref;

use axum::extract::FromRef;
use base::Base;
use platform::Platform;

/// What the routes and the job of this area need. Cheap to clone.
#[derive(Clone)]
pub struct Recovery(Platform);

impl Recovery {
    /// Builds on `platform`.
    pub fn new(platform: Platform) -> Self {
        Self(platform)
    }

    /// The handle of the area below.
    pub fn platform(&self) -> &Platform {
        &self.0
    }
}

impl Deref for Recovery {
    type Target = Platform;

    fn deref(&self) -> &Platform {
        &self.0
    }
}

impl FromRef<Recovery> for Platform {
    fn from_ref(recovery: &Recovery) -> Self {
        recovery.0.clone()
    }
}

impl FromRef<Recovery> for Base {
    fn from_ref(recovery: &Recovery) -> Self {
        recovery.base().clone()
    }
}

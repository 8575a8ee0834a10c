//! The handle of this area.

use std::ops::Deref;

use axum::extract::FromRef;
use base::Base;

use crate::passwords::Hashing;

/// What the routes of this area need. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    base: Base,
    hashing: Hashing,
}

impl Identity {
    /// Builds on `base`.
    pub fn new(base: Base) -> Self {
        Self { base, hashing: Hashing::default() }
    }

    pub(crate) fn hashing(&self) -> &Hashing {
        &self.hashing
    }
}

impl Deref for Identity {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}

impl FromRef<Identity> for Base {
    fn from_ref(identity: &Identity) -> Self {
        identity.base.clone()
    }
}

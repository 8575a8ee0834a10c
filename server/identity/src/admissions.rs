//! The access checks that a request has passed, so that they can be repeated.

use std::sync::{Arc, Mutex, PoisonError};

use api::ids::{AppId, TeamId};

use crate::rights::{Rights, Role};

/// An app with the caller's rights on it, or a team with their role in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    App(AppId, Rights),
    Team(TeamId, Role),
}

/// The checks that a request has passed so far. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admissions(Arc<Mutex<Vec<Admission>>>);

impl Admissions {
    /// Adds one.
    pub(crate) fn add(&self, admission: Admission) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains(&admission) {
            all.push(admission);
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Admission> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

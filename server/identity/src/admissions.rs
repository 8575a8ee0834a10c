//! What the caller of a request has been admitted to, so that it can be checked again.

use std::sync::{Arc, Mutex, PoisonError};

use api::ids::{AppId, TeamId};

use crate::rights::{Rights, Role};

/// An app with the caller's rights on it, or a team with their role in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    App(AppId, Rights),
    Team(TeamId, Role),
}

/// What a request has been admitted to so far. Clones share it.
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

//! The repositories, with places for those who use them.

use std::{ops::Deref, path::Path};

use base::slots::Slots;
use repositories::{GitLimits, Repositories};
use worker::Workers;

use super::{histories::Histories, reservations::Reservations};

/// Questions of one payer to repositories at a time, and of all.
const QUESTIONS: usize = 2;
const QUESTIONS_OF_ALL: usize = 8;
/// Clones and pushes of one payer at a time, and of all.
const AT_ONCE: usize = 10;
const AT_ONCE_OF_ALL: usize = 64;

/// The repositories, with places for those who use them.
pub(crate) struct Git {
    repositories: Repositories,
    reservations: Reservations,
    slots: Slots,
    questions: Slots,
    histories: Histories,
}

impl Git {
    /// Those below `data`.
    pub fn new(data: &Path, limits: GitLimits, workers: Workers) -> Self {
        Self {
            repositories: Repositories::new(data, limits, workers),
            reservations: Reservations::default(),
            slots: Slots::new("clones and pushes", AT_ONCE, 0, AT_ONCE_OF_ALL),
            questions: Slots::new("repository reads", QUESTIONS, 32, QUESTIONS_OF_ALL),
            histories: Histories::default(),
        }
    }

    /// The disk space reserved by pushes in progress.
    pub(super) fn reservations(&self) -> &Reservations {
        &self.reservations
    }

    /// Places to clone and to push.
    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Places to ask a repository something, for requests that do nothing else.
    pub(super) fn questions(&self) -> &Slots {
        &self.questions
    }

    /// What commits lie between two others, as it was found before.
    pub(super) fn histories(&self) -> &Histories {
        &self.histories
    }
}

impl Deref for Git {
    type Target = Repositories;

    fn deref(&self) -> &Repositories {
        &self.repositories
    }
}

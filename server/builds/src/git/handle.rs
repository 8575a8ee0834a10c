//! The repositories, with places for those who use them.

use std::{ops::Deref, path::Path};

use base::places::Places;
use repositories::{GitLimits, Repositories};
use worker::Workers;

use super::{histories::Histories, rooms::Rooms};

/// Questions of one payer to repositories at a time, and of all.
const QUESTIONS: usize = 2;
const QUESTIONS_OF_ALL: usize = 8;
/// Clones and pushes of one payer at a time, and of all.
const AT_ONCE: usize = 10;
const AT_ONCE_OF_ALL: usize = 64;

/// The repositories, with places for those who use them.
pub(crate) struct Git {
    repositories: Repositories,
    rooms: Rooms,
    places: Places,
    questions: Places,
    histories: Histories,
}

impl Git {
    /// Those below `data`.
    pub fn new(data: &Path, limits: GitLimits, workers: Workers) -> Self {
        Self {
            repositories: Repositories::new(data, limits, workers),
            rooms: Rooms::default(),
            places: Places::new("clones and pushes", AT_ONCE, 0, AT_ONCE_OF_ALL),
            questions: Places::new("repository reads", QUESTIONS, 32, QUESTIONS_OF_ALL),
            histories: Histories::default(),
        }
    }

    /// The disk space reserved by pushes in progress.
    pub(super) fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// Places to clone and to push.
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// Places to ask a repository something, for requests that do nothing else.
    pub(super) fn questions(&self) -> &Places {
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

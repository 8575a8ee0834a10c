//! The repositories, with places for those who use them.

use std::ops::Deref;

use async_trait::async_trait;
use base::places::Places;
use platform::Platform;
use repositories::{Apps, GitLimits, Repositories};
use uuid::Uuid;

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
    /// Those of the apps of `platform`.
    pub fn new(platform: &Platform, limits: GitLimits) -> Self {
        let (data, workers) = (&platform.config().data, platform.workers().clone());
        let apps = Box::new(Existing(platform.clone()));
        Self {
            repositories: Repositories::new(data, limits, workers, apps),
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

/// The apps in the database.
struct Existing(Platform);

#[async_trait]
impl Apps for Existing {
    async fn exists(&self, app: Uuid) -> anyhow::Result<bool> {
        Ok(store::apps::app_exists(self.0.db(), app).await?)
    }
}

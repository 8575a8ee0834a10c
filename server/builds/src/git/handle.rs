//! The repositories, with slots for their users.

use std::ops::Deref;

use api::ids::AppId;
use async_trait::async_trait;
use base::slots::Slots;
use platform::Platform;
use repositories::{Apps, GitLimits, Repositories};

use super::{histories::Histories, reservations::Reservations};

/// Concurrent reads of repositories, per payer and in total.
const QUESTIONS: usize = 2;
const QUESTIONS_OF_ALL: usize = 8;
/// Concurrent clones and pushes, per payer and in total.
const AT_ONCE: usize = 10;
const AT_ONCE_OF_ALL: usize = 64;

/// The repositories, with slots for their users.
pub(crate) struct Git {
    repositories: Repositories,
    reservations: Reservations,
    slots: Slots,
    questions: Slots,
    histories: Histories,
}

impl Git {
    /// The repositories of the apps of `platform`.
    pub fn new(platform: &Platform, limits: GitLimits) -> Self {
        let (data, workers) = (&platform.config().data, platform.workers().clone());
        let apps = Box::new(Existing(platform.clone()));
        Self {
            repositories: Repositories::new(data, limits, workers, apps),
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

    /// Slots for clones and pushes.
    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Slots for requests that only read a repository.
    pub(super) fn questions(&self) -> &Slots {
        &self.questions
    }

    /// The cache of commit histories.
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
    async fn exists(&self, app: AppId) -> anyhow::Result<bool> {
        Ok(store::apps::app_exists(self.0.db(), app).await?)
    }
}

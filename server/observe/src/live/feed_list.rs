//! The active feeds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use api::ids::{AccountId, AppId};
use base::slots::Slots;
use identity::{Actor, Rights};
use serde_json::Value;
use tokio::{sync::watch, task::AbortHandle};
use uuid::Uuid;

/// The subject of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FeedSubject {
    /// All apps that are visible to the caller.
    Apps,
    /// One app.
    App(AppId),
    /// The state of jobs and reconcilers.
    Platform,
}

/// Identifies subscribers that get the same values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub shown: FeedSubject,
    account: AccountId,
    is_admin: bool,
    rights: Rights,
    /// The credential and the origin, for values that contain URLs.
    opened: Option<(Uuid, String)>,
}

impl Key {
    pub(super) fn of(actor: &Actor, shown: FeedSubject) -> Self {
        let opened = matches!(shown, FeedSubject::App(_)).then(|| (actor.credential.id(), actor.origin.clone()));
        let (account, is_admin) = (actor.account.id, actor.account.admin);
        Self { shown, account, is_admin, rights: actor.scope.rights(), opened }
    }
}

/// A message of a feed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FeedMessage {
    /// No value yet.
    Nothing,
    Value(Arc<Value>),
    /// The value is too large to be sent repeatedly.
    End,
    Failed(api::Error),
}

/// The feeds, each with its sender and its task.
pub(super) type Open = HashMap<Key, (watch::Sender<FeedMessage>, AbortHandle)>;

/// The active feeds, and slots for their subscribers.
pub(crate) struct Feeds {
    subscriptions: Slots,
    pub(super) turns: Slots,
    open: Mutex<Open>,
}

impl Default for Feeds {
    fn default() -> Self {
        let subscriptions = Slots::new("live subscriptions", 256, 0, 25_600);
        // Fewer slots than connections to the database; all subscriptions of one payer can wait.
        let turns = Slots::new("live updates", 2, 1000, 8);
        Self { subscriptions, turns, open: Mutex::default() }
    }
}

impl Feeds {
    /// Slots for subscriptions of sockets.
    pub(super) fn subscriptions(&self) -> &Slots {
        &self.subscriptions
    }

    /// Removes a feed without subscribers, so that it gets no new ones.
    pub(super) fn is_left(&self, key: &Key, feed: &watch::Sender<FeedMessage>) -> bool {
        let mut open = self.open();
        let is_left = feed.receiver_count() == 0;
        if is_left {
            open.remove(key);
        }
        is_left
    }

    pub(super) fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

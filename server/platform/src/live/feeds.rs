//! Feeds: values that are found out again whenever something changes, once for all who are shown the same.
//!
//! However many sockets somebody opens, what they show costs once; how often, depends on how long it takes; and feeds
//! of one payer are few at a time, so that those of others have their turns.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use store::pages::Range;
use tokio::{
    sync::{broadcast, watch},
    task::AbortHandle,
};
use tracing::Instrument as _;
use uuid::Uuid;

use super::TICK;
use crate::{
    actor::Actor,
    error::{Error, Result},
    places::Places,
    platform,
    rights::{Can, Rights},
    statuses,
};

/// Who sees more apps than this sees them as they were when the page was drawn.
const MOST_APPS: usize = 2000;
/// What changes without anybody saying so (uptime, countdowns, traffic) is looked at this often.
const AGAIN: Duration = Duration::from_secs(5);
/// So many times as long as it took to find something out, it is left alone.
const REST: u32 = 4;

/// What a feed shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shown {
    /// All apps that the asker may see.
    Apps,
    /// One app.
    App(Uuid),
    /// What the machinery does.
    Platform,
}

/// Those who are shown the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    shown: Shown,
    account: Uuid,
    is_admin: bool,
    rights: Rights,
    /// With what they came and where, for what has addresses in it.
    opened: Option<(Uuid, String)>,
}

impl Key {
    fn of(actor: &Actor, shown: Shown) -> Self {
        let opened = matches!(shown, Shown::App(_)).then(|| (actor.credential.id(), actor.base.clone()));
        let (account, is_admin) = (actor.account.id, actor.account.admin);
        Self { shown, account, is_admin, rights: actor.reach.rights(), opened }
    }
}

/// What a feed says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    /// Nothing yet.
    Nothing,
    Value(Arc<Value>),
    /// There is too much to be shown again and again.
    End,
    Failed(api::Error),
}

/// Each with what keeps it.
type Open = HashMap<Key, (watch::Sender<Said>, AbortHandle)>;

/// The feeds that are followed, and places for whoever follows anything.
pub(crate) struct Feeds {
    subscriptions: Places,
    turns: Places,
    open: Mutex<Open>,
}

impl Default for Feeds {
    fn default() -> Self {
        let subscriptions = Places::new("live subscriptions", 256, 0, 25_600);
        // Fewer than there are connections to the database; all that one payer follows may wait.
        let turns = Places::new("live updates", 2, 1000, 8);
        Self { subscriptions, turns, open: Mutex::default() }
    }
}

impl Feeds {
    /// Places to follow something on a socket.
    pub(super) fn subscriptions(&self) -> &Places {
        &self.subscriptions
    }

    /// Takes a feed out that nobody follows: nobody comes to it any more then.
    fn is_left(&self, key: &Key, feed: &watch::Sender<Said>) -> bool {
        let mut open = self.open();
        let is_left = feed.receiver_count() == 0;
        if is_left {
            open.remove(key);
        }
        is_left
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `shown` says to `actor`, who may see it.
pub(super) fn follow(actor: &Actor, shown: Shown) -> watch::Receiver<Said> {
    let mut open = actor.platform.feeds().open();
    let key = Key::of(actor, shown);
    if let Some((feed, task)) = open.get(&key)
        && !task.is_finished()
    {
        return feed.subscribe();
    }
    let (feed, said) = watch::channel(Said::Nothing);
    let task = tokio::spawn(run(actor.clone(), key.clone(), feed.clone())).abort_handle();
    open.insert(key, (feed, task));
    said
}

/// Keeps a feed until nobody follows it.
async fn run(actor: Actor, key: Key, feed: watch::Sender<Said>) {
    let (shown, platform) = (key.shown, actor.platform.clone());
    let mut changes = platform.changes();
    loop {
        let (said, took) = find_out(&actor, shown).await;
        if !matches!(said, Said::Value(_)) {
            // Whoever comes next begins anew.
            platform.feeds().open().remove(&key);
            feed.send_replace(said);
            return;
        }
        feed.send_if_modified(|now| {
            let is_new = *now != said;
            *now = said;
            is_new
        });
        tokio::select! {
            () = feed.closed() => {}
            () = pause(shown, &mut changes, took) => {}
        }
        if platform.feeds().is_left(&key, &feed) {
            return;
        }
        changes = changes.resubscribe();
    }
}

/// Waits until it is worth another look, and so long that looking is not all that is done.
async fn pause(shown: Shown, changes: &mut broadcast::Receiver<Uuid>, took: Duration) {
    let (changed, tick) = match shown {
        Shown::Apps => (tokio::time::timeout(AGAIN, any(changes, None)).await, TICK * 3),
        Shown::App(app) => (tokio::time::timeout(AGAIN, any(changes, Some(app))).await, TICK),
        Shown::Platform => (Ok(()), Duration::from_secs(2)),
    };
    // What changes together is told together.
    let rest = tick.max(took * REST);
    tokio::time::sleep(if changed.is_ok() { rest } else { tick }).await;
}

/// Waits until `app`, or any app, has changed, or too many have to tell which.
async fn any(changes: &mut broadcast::Receiver<Uuid>, app: Option<Uuid>) {
    while matches!(changes.recv().await, Ok(changed) if app.is_some_and(|app| app != changed)) {}
}

async fn find_out(actor: &Actor, shown: Shown) -> (Said, Duration) {
    let turn = actor.platform.feeds().turns.take(actor.payer).await;
    let begin = Instant::now();
    let found = match turn {
        Ok(_turn) => value(actor, shown).instrument(tracing::trace_span!("look", ?shown)).await,
        Err(err) => Err(err),
    };
    let said = match found {
        Ok(Some(value)) => Said::Value(Arc::new(value)),
        Ok(None) => Said::End,
        Err(Error::Told(error)) => Said::Failed(error),
        Err(Error::Internal(err)) => {
            tracing::error!("could not follow a topic: {err:#}");
            Said::Failed(super::fault())
        }
    };
    (said, begin.elapsed())
}

async fn value(actor: &Actor, shown: Shown) -> Result<Option<Value>> {
    let platform = &actor.platform;
    let value = match shown {
        Shown::Apps => match summaries(actor).await? {
            Some(all) => serde_json::to_value(all),
            None => return Ok(None),
        },
        Shown::App(app) => {
            let app = actor.app(&app.to_string(), Can::View).await?;
            serde_json::to_value(statuses::status(platform, actor, &app).await?)
        }
        Shown::Platform => serde_json::to_value(platform::info(platform).await?),
    };
    Ok(Some(value.map_err(anyhow::Error::new)?))
}

/// All apps that the asker may see, page by page; nothing when they are too many to be sent again and again.
async fn summaries(actor: &Actor) -> Result<Option<Vec<api::statuses::AppSummary>>> {
    let mut all = Vec::new();
    let mut next = Some(Range::longest(&store::apps::LIST));
    while let Some(range) = next {
        let page = statuses::summaries(&actor.platform, actor, &range).await?;
        next = page.next(&range);
        all.extend(page.rows);
        if all.len() > MOST_APPS {
            return Ok(None);
        }
    }
    Ok(Some(all))
}

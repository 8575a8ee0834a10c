//! Feeds: values that are recomputed on changes, once for all subscribers of the same value.
//!
//! The cost does not depend on the number of sockets. The frequency depends on the duration of the computation. Few
//! feeds of a payer are computed at once, so that those of others are not delayed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base::{
    Error, Result,
    bus::{self, Changed},
};
use identity::{Actor, Can};
use platform::{Platform, platform_info};
use serde_json::Value;
use store::pages::Range;
use tokio::sync::{broadcast, watch};
use tracing::Instrument as _;

use super::{
    TICK,
    feed_list::{FeedMessage, FeedSubject, Key},
};
use crate::{Observe, statuses};

/// A list with more apps than this is not updated live.
const MOST_APPS: usize = 2000;
/// The polling interval for changes without a notification (uptime, countdowns, traffic).
const AGAIN: Duration = Duration::from_secs(5);
/// The pause after a computation, as a multiple of its duration.
const REST: u32 = 4;

/// The value of `shown` for `actor`, who has access to it.
pub(super) fn follow(observe: &Observe, actor: &Actor, shown: FeedSubject) -> watch::Receiver<FeedMessage> {
    let mut open = observe.feeds().open();
    let key = Key::of(actor, shown);
    if let Some((feed, task)) = open.get(&key)
        && !task.is_finished()
    {
        return feed.subscribe();
    }
    let (feed, said) = watch::channel(FeedMessage::Nothing);
    let task = tokio::spawn(run(observe.clone(), actor.clone(), key.clone(), feed.clone())).abort_handle();
    open.insert(key, (feed, task));
    said
}

/// Runs a feed until it has no subscribers.
async fn run(observe: Observe, actor: Actor, key: Key, feed: watch::Sender<FeedMessage>) {
    let shown = key.shown;
    let mut changes = observe.changes();
    loop {
        let (said, took) = find_out(&observe, &actor, shown).await;
        if !matches!(said, FeedMessage::Value(_)) {
            // The next subscriber starts a new one.
            observe.feeds().open().remove(&key);
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
        if observe.feeds().is_left(&key, &feed) {
            return;
        }
        changes = changes.resubscribe();
    }
}

/// Waits for a change, and for the pause that the last computation requires.
async fn pause(shown: FeedSubject, changes: &mut broadcast::Receiver<Changed>, took: Duration) {
    let (changed, tick) = match shown {
        FeedSubject::Apps => (tokio::time::timeout(AGAIN, bus::concerning(changes, None)).await, TICK * 3),
        FeedSubject::App(app) => (tokio::time::timeout(AGAIN, bus::concerning(changes, Some(app))).await, TICK),
        FeedSubject::Platform => (Ok(()), Duration::from_secs(2)),
    };
    // Simultaneous changes are sent together.
    let rest = tick.max(took * REST);
    tokio::time::sleep(if changed.is_ok() { rest } else { tick }).await;
}

async fn find_out(observe: &Observe, actor: &Actor, shown: FeedSubject) -> (FeedMessage, Duration) {
    let turn = observe.feeds().turns.take(actor.payer).await;
    let begin = Instant::now();
    let found = match turn {
        Ok(_turn) => value(observe, actor, shown).instrument(tracing::trace_span!("look", ?shown)).await,
        Err(err) => Err(err),
    };
    let said = match found {
        Ok(Some(value)) => FeedMessage::Value(Arc::new(value)),
        Ok(None) => FeedMessage::End,
        Err(Error::Public(error)) => FeedMessage::Failed(error),
        Err(Error::Internal(err)) => {
            tracing::error!("could not follow a topic: {err:#}");
            FeedMessage::Failed(super::fault())
        }
    };
    (said, begin.elapsed())
}

async fn value(platform: &Platform, actor: &Actor, shown: FeedSubject) -> Result<Option<Value>> {
    let value = match shown {
        FeedSubject::Apps => match summaries(platform, actor).await? {
            Some(all) => serde_json::to_value(all),
            None => return Ok(None),
        },
        FeedSubject::App(app) => {
            let app = actor.app(&app.to_string(), Can::View).await?;
            serde_json::to_value(statuses::status(platform, actor, &app).await?)
        }
        FeedSubject::Platform => serde_json::to_value(platform_info::info(platform).await?),
    };
    Ok(Some(value.map_err(anyhow::Error::new)?))
}

/// All apps that are visible to the caller, page by page; `None` if there are too many to be sent repeatedly.
async fn summaries(platform: &Platform, actor: &Actor) -> Result<Option<Vec<api::statuses::AppSummary>>> {
    let mut all = Vec::new();
    let mut next = Some(Range::longest(&store::apps::LIST));
    while let Some(range) = next {
        let page = statuses::summaries(platform, actor, &range).await?;
        next = page.next(&range);
        all.extend(page.rows);
        if all.len() > MOST_APPS {
            return Ok(None);
        }
    }
    Ok(Some(all))
}

//! Feeds: values that are updated on changes, once for all subscribers of the same value. What has to be read again for
//! a change is in `shown`.
//!
//! The cost does not depend on the number of sockets. The frequency depends on the duration of the computation. Few
//! feeds of a payer are computed at once, so that those of others are not delayed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base::{Error, bus::Changed};
use identity::Actor;
use tokio::sync::{
    broadcast::{
        self,
        error::{RecvError, TryRecvError},
    },
    watch,
};
use tracing::Instrument as _;

use super::{
    TICK,
    feed_list::{FeedMessage, FeedSubject, Key},
    shown::{AGAIN, Shown},
};
use crate::Observe;

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
    let mut shown = Shown::new(key.shown);
    // From before the first value is read, so that no change is missed.
    let mut changes = observe.changes();
    loop {
        let (said, took) = find_out(&observe, &actor, &mut shown).await;
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
            () = pause(&mut shown, &mut changes, took) => {}
        }
        if observe.feeds().is_left(&key, &feed) {
            return;
        }
    }
}

/// Waits for a change, and for the pause that the last computation requires.
async fn pause(shown: &mut Shown, changes: &mut broadcast::Receiver<Changed>, took: Duration) {
    let tick = match shown.subject() {
        FeedSubject::Apps => TICK * 3,
        FeedSubject::App(_) => TICK,
        FeedSubject::Platform => return tokio::time::sleep(Duration::from_secs(2)).await,
    };
    let changed = tokio::time::timeout(AGAIN, concerning(shown, changes)).await;
    // Simultaneous changes are sent together.
    tokio::time::sleep(if changed.is_ok() { tick.max(took * REST) } else { tick }).await;
    loop {
        match changes.try_recv() {
            Ok(changed) => {
                shown.note(changed);
            }
            Err(TryRecvError::Lagged(_)) => shown.note_anything(),
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    shown.note_time();
}

/// Waits for a change of what is shown.
async fn concerning(shown: &mut Shown, changes: &mut broadcast::Receiver<Changed>) {
    loop {
        match changes.recv().await {
            Ok(changed) if !shown.note(changed) => {}
            Ok(_) | Err(RecvError::Closed) => return,
            Err(RecvError::Lagged(_)) => return shown.note_anything(),
        }
    }
}

async fn find_out(observe: &Observe, actor: &Actor, shown: &mut Shown) -> (FeedMessage, Duration) {
    let subject = shown.subject();
    let turn = observe.feeds().turns.take(actor.payer).await;
    let begin = Instant::now();
    let found = match turn {
        Ok(_turn) => shown.read(observe, actor).instrument(tracing::trace_span!("look", shown = ?subject)).await,
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

//! Publishing and receiving changes: the handle's side of the bus, and the task that exchanges messages with the other
//! servers of the database.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
    time::Duration,
};

use api::ids::AppId;
use store::bus::{Listener, Notification};
use tokio::sync::{Notify, broadcast, mpsc};

use crate::{
    Base,
    bus::{Changed, Message},
    ends::{Ends, Reader},
    kinds::Kind,
    recorded::Recorded,
    server_hold,
};

/// How long changes without a transaction are collected before they are sent to other servers.
const COLLECT: Duration = Duration::from_millis(20);
/// The maximum number of changes that are sent together.
const MOST_COLLECTED: usize = 1000;
/// How long to wait before listening again when the database is unavailable.
const AGAIN: Duration = Duration::from_secs(1);

impl Base {
    /// Publishes a change that has no event in the audit log. Call it after the transaction that made the change has
    /// committed.
    pub fn publish(&self, kind: Kind, app: AppId) {
        let changed = Changed::new(kind, Some(app));
        self.bus().notify(changed);
        // If the queue is full, the other servers find the change in their next regular run.
        let _ = self.bus().outgoing.try_send(changed);
    }

    /// Changes from now on, made by any server of this database.
    pub fn changes(&self) -> broadcast::Receiver<Changed> {
        self.bus().changes.subscribe()
    }

    /// Notifies a stream whenever a session, token or right that its `reader` needs may have ended.
    pub fn session_ends(&self, reader: Reader) -> Ends {
        Ends::new(self.bus().session_ends.subscribe(), reader)
    }

    /// The events that are added to the audit log from now on, by any server of this database.
    pub fn new_events(&self) -> broadcast::Receiver<Recorded> {
        self.bus().recorded.subscribe()
    }

    /// Notified of every message on this channel of the database, and when some may have been lost. All channels share one
    /// connection, which is opened by [`run`]: call this before.
    pub fn listener(&self, channel: &'static str) -> Arc<Notify> {
        let listener = Arc::new(Notify::new());
        self.bus().listeners().push((channel, listener.clone()));
        listener
    }

    /// Notifies a reconciler of changes of these kinds.
    pub fn waker(&self, kinds: &'static [Kind]) -> Arc<Notify> {
        let waker = Arc::new(Notify::new());
        self.bus().wakers.lock().unwrap_or_else(PoisonError::into_inner).push((kinds, waker.clone()));
        waker
    }
}

/// Exchanges messages with the other servers of this database, passes on those of other channels, and keeps the id of
/// this server, until it is dropped.
pub async fn run(base: Base) {
    let waiting = base.bus().waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(waiting) = waiting else { return };
    tokio::join!(listen(&base), send(&base, waiting), server_hold::keep(&base));
}

async fn listen(base: &Base) {
    loop {
        if let Err(err) = receive(base).await {
            tracing::warn!("could not receive changes from other servers, retrying: {err}");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn receive(base: &Base) -> sqlx::Result<()> {
    let others: BTreeSet<&str> = base.bus().listeners().iter().map(|(channel, _)| *channel).collect();
    let others: Vec<&str> = others.into_iter().collect();
    let mut listener = Listener::start(base.db(), &others).await?;
    // From here on nothing is missed; everything that was published before is refetched.
    base.bus().anything();
    loop {
        match listener.next().await? {
            Some(Notification::Change(text)) => base.bus().receive(&text),
            Some(Notification::Other(channel)) => base.bus().notify_channel(&channel),
            None => base.bus().anything(),
        }
    }
}

async fn send(base: &Base, mut waiting: mpsc::Receiver<Changed>) {
    while let Some(first) = waiting.recv().await {
        tokio::time::sleep(COLLECT).await;
        let mut changed = BTreeSet::from([first]);
        while changed.len() < MOST_COLLECTED
            && let Ok(next) = waiting.try_recv()
        {
            changed.insert(next);
        }
        let texts = Message::texts(base.bus(), &changed);
        if let Err(err) = store::bus::change_notify(base.db(), &texts).await {
            tracing::warn!("could not publish changes to other servers: {err}");
        }
    }
}

//! Changes: the one way to write. A change has an actor and a subject; committing it writes its events and publishes
//! what has changed.
//!
//! The audit log is a single chain, so writing an event takes a lock until the end of the transaction. If rows were
//! locked after that, two changes could deadlock. Events are therefore collected, and written when the change is
//! committed: there is no other way to write one.

use std::ops::{Deref, DerefMut};

use anyhow::Context as _;
use api::ids::{AccountId, AppId};
use sqlx::PgConnection;
use store::events::Row;

use crate::{
    Base, Result,
    bus::{Changed, Message},
    events::{
        chain,
        entry::{self, EventActor},
    },
    kinds::Kind,
    paced::Paced,
    recorded::{Audience, Concerned},
    subject::Subject,
};

/// A transaction with its audit events. Dropped without [`Change::commit`], it leaves neither.
pub struct Change {
    tx: Paced,
    who: EventActor,
    subject: Subject,
    events: Vec<Row>,
    message: Message,
    also: Audience,
    base: Base,
}

impl Base {
    /// Begins a change of `subject` by `who`.
    pub async fn change(&self, who: impl Into<EventActor>, subject: Subject) -> Result<Change> {
        Ok(Change::new(self, self.begin().await?, who.into(), subject))
    }

    /// Like [`Base::change`], for a request that is charged to `payer`: waits for one of their slots first. A change may
    /// have to wait for a lock, and occupies a connection to the database meanwhile.
    pub async fn change_for(&self, payer: AccountId, who: impl Into<EventActor>, subject: Subject) -> Result<Change> {
        Ok(Change::new(self, self.begin_for(payer).await?, who.into(), subject))
    }
}

impl Change {
    fn new(base: &Base, tx: Paced, who: EventActor, subject: Subject) -> Self {
        let (message, base) = (Message::of(base.bus()), base.clone());
        Self { tx, who, subject, events: Vec::new(), message, also: Audience::new(), base }
    }

    /// Whether it had to wait before it began: what its caller has read before may be stale.
    pub fn has_waited(&self) -> bool {
        self.tx.has_waited()
    }

    /// Adds an event to the change: `action` (such as `release.create`) was done to its subject. `summary` is one
    /// sentence, `data` is for programs; neither may contain a secret value. Both are cut if they are too long.
    pub fn record(&mut self, action: &str, summary: impl Into<String>, data: serde_json::Value) {
        let subject = self.subject.clone();
        self.record_of(subject, action, summary, data);
    }

    /// Like [`Change::record`], for a subject other than that of the change.
    pub fn record_of(&mut self, subject: Subject, action: &str, summary: impl Into<String>, data: serde_json::Value) {
        self.message.add_event(action, &subject, self.who.id(), &data);
        self.events.push(entry::row(self.who.clone(), subject, action, summary.into(), data));
    }

    /// Sets the actor of the following events, for example to the account that the change has created.
    pub fn on_behalf_of(&mut self, who: impl Into<EventActor>) {
        self.who = who.into();
    }

    /// Makes the commit publish a change that has no event.
    pub fn publish(&mut self, kind: Kind, app: Option<AppId>) {
        self.message.add(Changed::new(kind, app));
    }

    /// Makes the commit publish that rights or tokens of this account end, when no event of the change has it as its
    /// subject.
    pub fn publish_end_of(&mut self, account: AccountId) {
        self.message.add(Changed::of_account(Kind::Session, account));
        self.also_concerns(Concerned::Account(account));
    }

    /// Also makes the pages of these users refetch, because they lose access to something with this change. Everybody
    /// else whom its events concern follows from what is recorded.
    pub fn also_concerns(&mut self, others: Concerned) {
        self.also.insert(others);
    }

    /// Commits the change, writes its events and publishes what has changed.
    pub async fn commit(self) -> anyhow::Result<()> {
        let Self { mut tx, events, message, also, base, .. } = self;
        let message = message.bounded(&also);
        chain::append(base.secrets(), &mut tx, events).await?;
        let parts = message.parts();
        if !parts.is_empty() {
            store::bus::change_notify(&mut *tx, &parts).await.context("publish the change")?;
        }
        tx.commit().await?;
        base.bus().deliver(&message);
        Ok(())
    }
}

impl Deref for Change {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

//! Changes: the one way to write. A change has an actor and a subject; committing it writes its events and publishes
//! what has changed.
//!
//! The audit log is a single chain, so writing an event takes a lock until the end of the transaction. If rows were
//! locked after that, two changes could deadlock. Events are therefore collected, and written when the change is
//! committed: there is no other way to write one.

use std::{
    collections::BTreeSet,
    ops::{Deref, DerefMut},
};

use anyhow::Context as _;
use sqlx::{PgConnection, Postgres, Transaction};
use store::events::Row;
use uuid::Uuid;

use crate::{
    Base, Result,
    bus::{Changed, Message, Recorded},
    events::{
        chain, cut,
        entry::{self, Who},
    },
    kinds::{self, Kind},
    places::Place,
    subject::Subject,
};

/// A transaction with its audit events. Dropped without [`Change::commit`], it leaves neither.
pub struct Change {
    tx: Transaction<'static, Postgres>,
    who: Who,
    subject: Subject,
    events: Vec<Row>,
    changed: BTreeSet<Changed>,
    recorded: BTreeSet<Recorded>,
    base: Base,
    /// Released after the transaction has ended.
    place: Option<Place>,
}

impl Base {
    /// Begins a change that `who` makes to `subject`.
    pub async fn change(&self, who: impl Into<Who>, subject: Subject) -> Result<Change> {
        let tx = self.db().begin().await?;
        let (events, changed, recorded) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        Ok(Change { tx, who: who.into(), subject, events, changed, recorded, base: self.clone(), place: None })
    }

    /// As [`Base::change`], for a request that `payer` pays for: waits for one of their slots first. A change may have
    /// to wait for a lock, with a connection to the database that nobody else can use meanwhile.
    pub async fn change_for(&self, payer: Uuid, who: impl Into<Who>, subject: Subject) -> Result<Change> {
        let place = self.change_places().take(payer).await?;
        Ok(Change { place: Some(place), ..self.change(who, subject).await? })
    }
}

impl Change {
    /// Adds an event to the change: `action` (such as `release.create`) was done to its subject. `summary` is one
    /// sentence, `data` is for programs; neither may contain a secret value. What is too long of them is cut.
    pub fn record(&mut self, action: &str, summary: impl Into<String>, data: serde_json::Value) {
        let subject = self.subject.clone();
        self.record_of(subject, action, summary, data);
    }

    /// As [`Change::record`], for another subject than that of the change.
    pub fn record_of(&mut self, subject: Subject, action: &str, summary: impl Into<String>, data: serde_json::Value) {
        let kinds = kinds::of_action(action, subject.app.is_some());
        self.changed.extend(kinds.iter().map(|kind| Changed::of(*kind, &subject)));
        self.recorded.insert(Recorded::of(action, subject.app));
        let subject = Subject { name: cut::text(subject.name), ..subject };
        let new = entry::New { action, subject, summary: cut::text(summary.into()), data: cut::data(data) };
        self.events.push(entry::row(new, self.who.clone()));
    }

    /// From now on the change is made by somebody else: by the account that it has created, for example.
    pub fn on_behalf_of(&mut self, who: impl Into<Who>) {
        self.who = who.into();
    }

    /// Has the commit publish a change that has no event.
    pub fn publish(&mut self, kind: Kind, app: Option<Uuid>) {
        self.changed.insert(Changed::new(kind, app));
    }

    /// Has the commit publish that rights or tokens of this account end, which is not the subject of an event that
    /// says so.
    pub fn publish_end_of(&mut self, account: Uuid) {
        self.changed.insert(Changed::of_account(Kind::Session, account));
    }

    /// Commits the change, writes its events and publishes what has changed.
    pub async fn commit(self) -> anyhow::Result<()> {
        let Self { mut tx, events, changed, recorded, base, place, .. } = self;
        let message = Message::new(base.bus(), changed, recorded);
        for event in events {
            chain::append(base.secrets(), &mut tx, event).await?;
        }
        if let Some(text) = message.text() {
            store::bus::change_notify(&mut *tx, &[text]).await.context("publish the change")?;
        }
        tx.commit().await.context("use the database")?;
        drop(place);
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

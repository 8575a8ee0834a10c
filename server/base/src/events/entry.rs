//! The entries of the audit log: what is recorded, and who is named as the actor.

use chrono::Utc;
use store::events::Row;
use uuid::Uuid;

use super::chain;
use crate::Subject;

/// An event to be written.
pub(crate) struct New<'a> {
    /// `release.create`
    pub action: &'a str,
    pub subject: Subject,
    /// One sentence, without secret values.
    pub summary: String,
    /// Details for programs, without secret values.
    pub data: serde_json::Value,
}

/// The originator of work that the platform does later: account, credential, address.
#[derive(Clone, Debug)]
pub struct Asker {
    pub account: Uuid,
    pub email: String,
    pub credential: Option<String>,
    pub address: Option<String>,
}

/// Who an event says made a change.
#[derive(Clone, Debug)]
pub struct Who {
    id: Option<Uuid>,
    name: String,
    credential: Option<String>,
    address: Option<String>,
}

impl Who {
    /// The platform itself.
    pub fn platform() -> Self {
        Self { id: None, name: "wharf".into(), credential: None, address: None }
    }

    /// Somebody who has not proved who they are; `name` is who they say they are.
    pub fn visitor(name: Option<&str>, address: Option<String>) -> Self {
        let name = name.unwrap_or("somebody").chars().take(254).filter(|c| !c.is_control()).collect();
        Self { id: None, name, credential: None, address }
    }
}

impl From<Asker> for Who {
    fn from(asker: Asker) -> Self {
        Self { id: Some(asker.account), name: asker.email, credential: asker.credential, address: asker.address }
    }
}

/// An event before it is appended.
pub(crate) fn row(new: New<'_>, who: Who) -> Row {
    Row {
        seq: 0,
        // The database stores microseconds, and the hash is over stored values.
        at: chain::micros(Utc::now()),
        actor_id: who.id,
        actor: who.name,
        credential: who.credential,
        address: who.address,
        action: new.action.into(),
        subject: new.subject.name,
        app_id: new.subject.app,
        subject_kind: Some(new.subject.kind.as_str().to_owned()),
        subject_id: new.subject.id,
        summary: new.summary,
        data: new.data,
        previous: Vec::new(),
        hash: Vec::new(),
        version: chain::VERSION,
    }
}

//! The entries of the audit log, and the actors that they name.

use api::ids::AccountId;
use chrono::Utc;
use store::events::Row;

use super::{chain, cut};
use crate::Subject;

/// Who requested something: account, credential, address. Kept for work that the platform does later on their behalf.
#[derive(Clone, Debug)]
pub struct Originator {
    pub account: AccountId,
    pub email: String,
    pub credential: Option<String>,
    /// The description of the token, if the credential is one that has just been used.
    pub token: Option<String>,
    pub address: Option<String>,
}

impl Originator {
    /// The end of a sentence about what was done with a token: ` with the token "CI"`.
    pub fn with_token(&self) -> String {
        self.token.as_ref().map(|token| format!(" with the token \"{token}\"")).unwrap_or_default()
    }
}

/// The actor of an event.
#[derive(Clone, Debug)]
pub struct EventActor {
    id: Option<AccountId>,
    name: String,
    credential: Option<String>,
    address: Option<String>,
}

impl EventActor {
    /// The account; `None` for the platform and for visitors.
    pub(crate) fn id(&self) -> Option<AccountId> {
        self.id
    }

    /// The platform itself.
    pub fn platform() -> Self {
        Self { id: None, name: "wharf".into(), credential: None, address: None }
    }

    /// An unauthenticated client; `name` is whom it claims to be.
    pub fn visitor(name: Option<&str>, address: Option<String>) -> Self {
        let name = name.unwrap_or("somebody").chars().take(254).filter(|c| !c.is_control()).collect();
        Self { id: None, name, credential: None, address }
    }
}

impl From<Originator> for EventActor {
    fn from(originator: Originator) -> Self {
        Self {
            id: Some(originator.account),
            name: originator.email,
            credential: originator.credential,
            address: originator.address,
        }
    }
}

/// The row of an event that is to be appended; texts and data that are too long are truncated. See
/// [`Change::record`](crate::Change::record).
pub(crate) fn row(who: EventActor, subject: Subject, action: &str, summary: String, data: serde_json::Value) -> Row {
    Row {
        seq: 0,
        // The database stores microseconds, and the hash is over stored values.
        at: chain::micros(Utc::now()),
        actor_id: who.id,
        actor: who.name,
        credential: who.credential,
        address: who.address,
        action: action.into(),
        subject: cut::text(subject.name),
        app_id: subject.app,
        subject_kind: Some(subject.kind.as_str().to_owned()),
        subject_id: subject.id,
        summary: cut::text(summary),
        data: cut::data(data),
        previous: Vec::new(),
        hash: Vec::new(),
        version: chain::VERSION,
    }
}

//! Subjects: what a change is made to, as the audit log names it.

use api::ids::AppId;
pub use api::subjects::SubjectKind;
use uuid::Uuid;

/// The target of a change.
#[derive(Clone, Debug)]
pub struct Subject {
    pub(crate) kind: SubjectKind,
    pub(crate) id: Option<Uuid>,
    pub(crate) name: String,
    pub(crate) app: Option<AppId>,
}

impl Subject {
    /// Something with an id that does not belong to an app: an account, a team.
    pub fn new(kind: SubjectKind, id: impl Into<Uuid>, name: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..Self::named(kind, name) }
    }

    /// Something that has no id: a setting.
    pub fn named(kind: SubjectKind, name: impl Into<String>) -> Self {
        Self { kind, id: None, name: name.into(), app: None }
    }

    /// An app, or something of it without a kind of its own.
    pub fn app(id: AppId, name: impl Into<String>) -> Self {
        Self::new(SubjectKind::App, id, name).part_of(id)
    }

    /// Marks it as part of this app: everybody who can see the app can read its events.
    #[must_use]
    pub fn part_of(self, app: AppId) -> Self {
        Self { app: Some(app), ..self }
    }
}

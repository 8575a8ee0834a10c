//! Links: what the functions that render resources for the API need besides a row.
//!
//! They do not take the caller. What depends on the caller's rights is decided before, and passed as an argument, so
//! that the same function can render a resource for a reader without any rights.

use uuid::Uuid;

use crate::{Base, secrets::Bearer};

/// The URLs in a resource, for one reader.
#[derive(Clone)]
pub struct Links {
    base: Base,
    origin: String,
    bearer: Option<Bearer>,
}

impl Links {
    /// For `bearer`, who has sent a request to `origin`: scheme and host, without a trailing slash.
    pub fn signed_for(base: &Base, bearer: Bearer, origin: &str) -> Self {
        Self { base: base.clone(), origin: origin.to_owned(), bearer: Some(bearer) }
    }

    /// For something that is sent without a request. URLs that open without credentials are omitted.
    pub fn unsigned(base: &Base) -> Self {
        Self { base: base.clone(), origin: base.settings().url(), bearer: None }
    }

    /// The URL of an app, with a trailing slash.
    pub fn app(&self, name: &str) -> String {
        self.base.settings().app_url(name)
    }

    /// The URL of an app's repository.
    pub fn repository(&self, app: &str) -> String {
        format!("{}/{app}.git", self.origin)
    }

    /// The pre-signed URL `<origin>/<path>/<secret>`, at which `id` is opened for `purpose`; `None` without a bearer.
    pub fn signed(&self, path: &str, purpose: &str, id: impl Into<Uuid>) -> Option<String> {
        let secret = self.base.secrets().sign_for(purpose, self.bearer?, id);
        Some(format!("{}/{path}/{secret}", self.origin))
    }
}

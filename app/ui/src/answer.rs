//! The HTTP status of a page's response.

use std::sync::Arc;

use leptos::prelude::*;

/// Sets the HTTP status while the server renders a page. Provided by the server.
#[derive(Clone)]
pub struct Answer(Arc<dyn Fn(u16) + Send + Sync>);

impl Answer {
    /// `set` is called with an HTTP status.
    pub fn new(set: impl Fn(u16) + Send + Sync + 'static) -> Self {
        Self(Arc::new(set))
    }

    /// Sets the HTTP status of this page. Does nothing in the browser.
    pub fn with(status: u16) {
        if let Some(answer) = use_context::<Self>() {
            (answer.0)(status);
        }
    }
}

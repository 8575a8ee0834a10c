//! Interim responses (1xx) of a dyno, which do not reach the client: hyper skips them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use http::HeaderMap;
use hyper::Request;

/// Limits per request: the response of an app that exceeds them is considered invalid.
const MOST: usize = 100;
const MOST_BYTES: usize = 64 * 1024;

/// Counts the interim responses to the current request of a connection.
#[derive(Default)]
pub(crate) struct Interim {
    responses: AtomicUsize,
    /// The size of their headers.
    bytes: AtomicUsize,
}

impl Interim {
    /// Starts counting for this request.
    pub(crate) fn watch<B>(self: &Arc<Self>, request: &mut Request<B>) {
        self.responses.store(0, Relaxed);
        self.bytes.store(0, Relaxed);
        let counted = self.clone();
        hyper::ext::on_informational(request, move |response| counted.count(response.headers()));
    }

    /// Whether there were more than allowed.
    pub(crate) fn is_excessive(&self) -> bool {
        self.responses.load(Relaxed) > MOST || self.bytes.load(Relaxed) > MOST_BYTES
    }

    fn count(&self, headers: &HeaderMap) {
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        self.responses.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }
}

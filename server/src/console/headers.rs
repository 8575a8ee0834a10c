//! The headers of every page.

use axum::http::{HeaderMap, HeaderValue, header};

/// Sets the headers of every page's response for browsers and caches.
pub(super) fn protect(headers: &mut HeaderMap) {
    let common = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::VARY, "accept, authorization, cookie"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in common {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

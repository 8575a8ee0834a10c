//! Requests in progress: one that reads holds a slot of its payer from authentication until its response begins.

use std::sync::{Arc, Mutex, PoisonError};

use api::ids::AccountId;
use axum::{extract::Request, http::request::Parts, middleware::Next, response::Response};
use base::{Base, Result, slots::Slot};

use crate::request::reads;

/// The slot of a request, once its payer is known.
#[derive(Clone, Default)]
struct HeldSlot(Arc<Mutex<Option<Slot>>>);

/// A layer that holds the slot of a request until there is a response. Streaming the response does not count.
pub(crate) async fn keep(mut request: Request, next: Next) -> Response {
    let held = HeldSlot::default();
    request.extensions_mut().insert(held.clone());
    let response = next.run(request).await;
    drop(held.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    response
}

/// Waits for a slot of `payer`, if the request only reads. Changes have separate slots.
pub(crate) async fn begin(base: &Base, parts: &Parts, payer: AccountId) -> Result<()> {
    if let Some(HeldSlot(held)) = parts.extensions.get::<HeldSlot>().filter(|_| reads(parts)) {
        let is_held = held.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if !is_held {
            let slot = base.read_slots().take(payer).await?;
            *held.lock().unwrap_or_else(PoisonError::into_inner) = Some(slot);
        }
    }
    Ok(())
}

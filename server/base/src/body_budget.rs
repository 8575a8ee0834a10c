//! The memory for request bodies of clients that are not signed in: one budget for all of them.
//!
//! Limits per body and per address do not bound it, because a client can have many addresses. The first bytes of each
//! body are free, so that others can sign in while the budget is used up; the router limits how many bodies there are.

use axum::http::Extensions;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::Error;

/// The budget for all bodies together, in bytes.
const ALL: usize = 64 << 20;
/// The bytes of each body that do not count: more than a sign-in needs.
const FREE: usize = 8 << 10;

static BUDGET: Semaphore = Semaphore::const_new(ALL);

/// Marks a request whose sender has been authenticated before its body is read, in its extensions. Its body does not count.
#[derive(Clone, Copy)]
pub struct Authenticated;

/// The share of one body, returned when it is dropped.
pub(crate) struct Share {
    budget: Option<&'static Semaphore>,
    taken: Option<SemaphorePermit<'static>>,
    is_refused: bool,
}

impl Share {
    /// The share of a request with these extensions.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        let is_known = extensions.get::<Authenticated>().is_some();
        Self::within((!is_known).then_some(&BUDGET))
    }

    fn within(budget: Option<&'static Semaphore>) -> Self {
        Self { budget, taken: None, is_refused: false }
    }

    /// Reserves what a buffer of `bytes` needs; `false` if the budget is exhausted.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let Some(budget) = self.budget else { return true };
        let taken = self.taken.as_ref().map_or(0, SemaphorePermit::num_permits);
        let more = bytes.saturating_sub(FREE + taken);
        if more == 0 {
            return true;
        }
        match u32::try_from(more).ok().and_then(|more| budget.try_acquire_many(more).ok()) {
            Some(permit) => match &mut self.taken {
                Some(taken) => taken.merge(permit),
                None => self.taken = Some(permit),
            },
            None => self.is_refused = true,
        }
        !self.is_refused
    }

    /// Why the body could not be read: the budget was exhausted, or else `otherwise`.
    pub(crate) fn error(&self, otherwise: &str) -> Error {
        match self.is_refused {
            true => Error::too_many_tries(
                "The platform is receiving too much data from clients that are not signed in. Try again in a moment.",
            ),
            false => Error::bad_request(otherwise),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_a_budget_except_for_their_first_bytes() {
        let budget: &'static Semaphore = Box::leak(Box::new(Semaphore::new(1000)));
        let (mut one, mut other) = (Share::within(Some(budget)), Share::within(Some(budget)));
        assert!(one.grow_to(FREE) && budget.available_permits() == 1000);
        assert!(one.grow_to(FREE + 400) && one.grow_to(FREE + 700) && budget.available_permits() == 300);
        assert!(!other.grow_to(FREE + 301));
        assert!(matches!(other.error("no"), Error::Public(err) if err.status == 429));
        drop(one);
        let mut third = Share::within(Some(budget));
        assert!(third.grow_to(FREE + 1000));
        assert!(matches!(third.error("no"), Error::Public(err) if (err.status, &*err.message) == (400, "no")));
        assert!(Share::within(Some(budget)).grow_to(FREE) && Share::within(None).grow_to(usize::MAX));
    }

    #[test]
    fn bodies_of_those_who_are_authenticated_do_not_count() {
        let mut extensions = Extensions::new();
        assert!(Share::of(&extensions).budget.is_some());
        extensions.insert(Authenticated);
        assert!(Share::of(&extensions).budget.is_none());
    }
}

//! Rate limits: how many requests a token has left.

use std::{
    collections::HashMap,
    sync::{Mutex, atomic::Ordering},
    time::Instant,
};

use axum::Json;
use uuid::Uuid;

use crate::{
    actor::Actor,
    error::{Error, Result},
    web::Budget,
};

/// Requests that a token can save up. (Heroku's limit, devcenter "rate limits".)
pub(crate) const MOST: i64 = 4500;
/// Requests that come back each second: 4,500 an hour.
const REFILL: f64 = 4500.0 / 3600.0;

/// One bucket for each credential. Kept in memory: a restart is generous, and harms nobody.
#[derive(Default)]
pub(crate) struct RateLimits {
    buckets: Mutex<HashMap<Uuid, (f64, Instant)>>,
}

impl RateLimits {
    /// Takes one request from the bucket of `credential`, or refuses.
    pub fn take(&self, credential: Uuid, budget: Option<&Budget>) -> Result<()> {
        let Ok(mut buckets) = self.buckets.lock() else { return Ok(()) };
        if buckets.len() > 100_000 {
            buckets.clear();
        }
        let now = Instant::now();
        let (left, at) = buckets.entry(credential).or_insert((MOST as f64, now));
        *left = (*left + now.duration_since(*at).as_secs_f64() * REFILL).min(MOST as f64);
        *at = now;
        if let Some(budget) = budget {
            budget.0.store((*left as i64 - 1).max(0), Ordering::Relaxed);
        }
        if *left < 1.0 {
            return Err(Error::rate_limit());
        }
        *left -= 1.0;
        Ok(())
    }

    fn left(&self, credential: Uuid) -> i64 {
        self.buckets.lock().ok().and_then(|b| b.get(&credential).map(|(left, _)| *left as i64)).unwrap_or(MOST)
    }
}

/// `GET /account/rate-limits`
pub async fn rate_limit_info(actor: Actor) -> Result<Json<api::accounts::RateLimit>> {
    Ok(Json(api::accounts::RateLimit { remaining: actor.platform.rate_limits().left(actor.credential.id()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_too_much_is_told_to_wait() {
        let (limits, budget) = (RateLimits::default(), Budget::default());
        let (busy, quiet) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut taken = 0;
        let refused = loop {
            match limits.take(busy, Some(&budget)) {
                Ok(()) => taken += 1,
                Err(err) => break err,
            }
        };
        assert!(taken >= MOST, "{taken}");
        assert!(refused.to_string().contains("reached the API limit"), "{refused}");
        assert_eq!((limits.left(busy), budget.0.load(Ordering::Relaxed)), (0, 0));
        assert!(limits.take(quiet, Some(&budget)).is_ok());
        assert_eq!(budget.0.load(Ordering::Relaxed), MOST - 1);
    }
}

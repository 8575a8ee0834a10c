//! Rate limits: how many requests a token has left.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, atomic::Ordering},
    time::{Duration, Instant},
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

/// What was refused is forgotten after this long without another refusal.
const MEMORY: Duration = Duration::from_secs(3600);
/// Nobody is kept out for longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// How often something was refused, and until when nothing more is tried.
struct Tried {
    times: u32,
    at: Instant,
    until: Instant,
    /// Whether it was said that it is shut.
    told: bool,
}

impl Tried {
    /// One more. Returns whether that shuts it, for twice as long as the one before.
    fn count(&mut self, free: u32, now: Instant) -> bool {
        if now.duration_since(self.at) > MEMORY {
            self.times = 0;
        }
        (self.times, self.at) = (self.times.saturating_add(1), now);
        let Some(over) = self.times.checked_sub(free + 1) else { return false };
        self.until = now + Duration::from_secs(1 << over.min(12)).min(LONGEST);
        self.told = false;
        true
    }
}

fn tried_at<'a>(tried: &'a mut HashMap<String, Tried>, what: &str, now: Instant) -> &'a mut Tried {
    if tried.len() > 100_000 {
        tried.retain(|_, t| now < t.until);
    }
    tried.entry(what.to_owned()).or_insert(Tried { times: 0, at: now, until: now, told: false })
}

/// One bucket for each credential. Kept in memory: a restart is generous, and harms nobody.
#[derive(Default)]
pub(crate) struct RateLimits {
    buckets: Mutex<HashMap<Uuid, (f64, Instant)>>,
    tried: Mutex<HashMap<String, Tried>>,
    known: Mutex<HashSet<(String, Uuid)>>,
    told: Mutex<HashMap<String, Instant>>,
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

    /// Notes that `what` was refused. The first `free` times cost nothing; then each one keeps it shut,
    /// for a second, two, four, up to an hour. Returns whether this one was the first that did.
    pub fn failed(&self, what: &str, free: u32) -> bool {
        self.failed_at(what, free, Instant::now())
    }

    fn failed_at(&self, what: &str, free: u32, now: Instant) -> bool {
        let Ok(mut tried) = self.tried.lock() else { return false };
        let found = tried_at(&mut tried, what, now);
        if found.count(free, now) {
            tracing::warn!("{what}: refused {} times, shut for {:?}", found.times, found.until - now);
        }
        found.times == free + 1
    }

    /// Whether `what` is the first of its kind for an hour: what is told once, however often it happens.
    pub fn is_first(&self, what: &str) -> bool {
        let (Ok(mut told), now) = (self.told.lock(), Instant::now()) else { return false };
        if told.len() > 100_000 {
            told.clear();
        }
        let is_first = told.get(what).is_none_or(|at| now.duration_since(*at) > MEMORY);
        if is_first {
            told.insert(what.to_owned(), now);
        }
        is_first
    }

    /// Counts a try at `what` as refused before its outcome is known, so that many at once cannot all be
    /// tried; [`Self::was_right`] takes it back. `false` if it is shut, and nothing is to be tried.
    pub fn begin(&self, what: &str, free: u32) -> bool {
        self.begin_at(what, free, Instant::now())
    }

    fn begin_at(&self, what: &str, free: u32, now: Instant) -> bool {
        let Ok(mut tried) = self.tried.lock() else { return true };
        let found = tried_at(&mut tried, what, now);
        if now < found.until {
            return false;
        }
        if found.count(free, now) {
            tracing::warn!("{what}: try {}, shut for {:?} unless it is right", found.times, found.until - now);
        }
        true
    }

    /// Takes back a try that [`Self::begin`] counted.
    pub fn was_right(&self, what: &str) {
        if let Ok(mut tried) = self.tried.lock()
            && let Some(found) = tried.get_mut(what)
        {
            (found.times, found.until) = (found.times.saturating_sub(1), found.at);
        }
    }

    /// Whether nobody has asked this yet since `what` was shut.
    pub fn is_news(&self, what: &str) -> bool {
        let Ok(mut tried) = self.tried.lock() else { return false };
        tried.get_mut(what).is_some_and(|found| !std::mem::replace(&mut found.told, true))
    }

    /// Remembers that `credential` was right from this address, so that others there do not shut it out.
    pub fn remember(&self, address: &str, credential: Uuid) {
        if let Ok(mut known) = self.known.lock() {
            if known.len() > 100_000 {
                known.clear();
            }
            known.insert((address.to_owned(), credential));
        }
    }

    /// Whether `credential` was right from this address before.
    pub fn knows(&self, address: &str, credential: Uuid) -> bool {
        self.known.lock().is_ok_and(|known| known.contains(&(address.to_owned(), credential)))
    }

    /// Whether `what` was refused so often that nothing is tried now.
    pub fn is_locked(&self, what: &str) -> bool {
        self.is_locked_at(what, Instant::now())
    }

    fn is_locked_at(&self, what: &str, now: Instant) -> bool {
        self.tried.lock().is_ok_and(|tried| tried.get(what).is_some_and(|t| now < t.until))
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
    fn the_lock_grows_and_is_forgotten() {
        let (limits, start) = (RateLimits::default(), Instant::now());
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        (0..3).for_each(|_| assert!(!limits.failed_at("a", 3, start)));
        assert!(!limits.is_locked_at("a", start));
        assert!(limits.failed_at("a", 3, start));
        assert!(limits.is_locked_at("a", start) && !limits.is_locked_at("a", after(1)));
        assert!(!limits.failed_at("a", 3, after(1)));
        assert!(limits.is_locked_at("a", after(2)) && !limits.is_locked_at("a", after(3)));
        (0..40).for_each(|_| _ = limits.failed_at("a", 3, after(3)));
        assert!(limits.is_locked_at("a", after(3600)) && !limits.is_locked_at("a", after(3604)));
        assert!(!limits.is_locked_at("b", start));
        limits.failed_at("a", 3, after(9000));
        assert!(!limits.is_locked_at("a", after(9000)));
    }

    #[test]
    fn a_try_counts_before_its_outcome() {
        let (limits, start) = (RateLimits::default(), Instant::now());
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        // Many at once: the free ones and one more.
        let begun = (0..100).filter(|_| limits.begin_at("a", 3, start)).count();
        assert_eq!(begun, 4);
        assert!(limits.is_news("a") && !limits.is_news("a"));
        assert!(limits.begin_at("a", 3, after(1)) && !limits.begin_at("a", 3, after(2)));
        assert!(limits.is_news("a"));
        // Right ones cost nothing, however many.
        (0..10).for_each(|_| {
            assert!(limits.begin_at("b", 3, start));
            limits.was_right("b");
        });
        (0..4).for_each(|_| assert!(limits.begin_at("b", 3, start)));
        assert!(!limits.begin_at("b", 3, start));
    }

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

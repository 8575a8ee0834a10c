//! Rate limits: the remaining requests of an account.
//!
//! All tokens of an account share a bucket, and so do all its sessions: more tokens do not mean more requests, and a
//! program that sends too many does not lock people out of the console. Service accounts have buckets of their own, and
//! share another one per creator; so do OAuth clients, which send requests without a token. Pre-signed URLs have one per
//! account that they were signed for.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use api::ids::AccountId;
use uuid::Uuid;

use crate::{
    credential::Credential,
    error::{Error, Result},
    recent::Recent,
};

/// The capacity of a bucket, refilled within an hour (Heroku's limit, devcenter "rate limits").
pub const MOST: i64 = 4500;
/// The factor for browsers, whose pages send many requests, and for all service accounts of a person together.
const FOLD: f64 = 4.0;
const HOUR: f64 = 3600.0;

/// The maximum number of entries of each table: those unused for longest are full again, or have expired.
const ROWS: usize = 50_000;

/// The owner of a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    Tokens(AccountId),
    Sessions(AccountId),
    /// All service accounts of a creator.
    ServiceAccounts(AccountId),
    /// All OAuth clients of an account and its service accounts.
    Clients(AccountId),
    /// All pre-signed URLs of an account.
    Urls(AccountId),
}

impl Of {
    /// The buckets in which a request is counted.
    fn all(account: AccountId, payer: AccountId, credential: Credential) -> impl Iterator<Item = Self> + Clone {
        let own = match credential {
            Credential::Token(_) => Self::Tokens(account),
            Credential::Session(_) => Self::Sessions(account),
        };
        [Some(own), (payer != account).then_some(Self::ServiceAccounts(payer))].into_iter().flatten()
    }

    fn most(self) -> f64 {
        let most = MOST as f64;
        if matches!(self, Self::Tokens(_) | Self::Clients(_) | Self::Urls(_)) { most } else { most * FOLD }
    }
}

/// The remaining requests at a point in time.
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn fill(&mut self, most: f64, now: Instant) -> f64 {
        self.left = (self.left + now.duration_since(self.at).as_secs_f64() * most / HOUR).min(most);
        self.at = now;
        self.left
    }
}

/// Rejections are forgotten after this long without another one.
const MEMORY: Duration = Duration::from_secs(3600);
/// The longest lockout.
const LONGEST: Duration = Duration::from_secs(3600);

/// Rejections of something, and the end of its lockout.
struct Tried {
    times: u32,
    at: Instant,
    until: Instant,
    /// Whether the lockout has been reported.
    is_reported: bool,
}

impl Tried {
    /// Counts one more rejection. Unless it is free, it starts a lockout twice as long as the last one. Returns whether
    /// to report it: the first, second, fourth, eighth one and so on, so that the number of reports grows
    /// logarithmically.
    fn count(&mut self, free: u32, now: Instant) -> bool {
        if now.duration_since(self.at) > MEMORY {
            self.times = 0;
        }
        (self.times, self.at) = (self.times.saturating_add(1), now);
        let Some(over) = self.times.checked_sub(free + 1) else { return false };
        self.until = now + Duration::from_secs(1 << over.min(12)).min(LONGEST);
        let is_due = over.saturating_add(1).is_power_of_two();
        self.is_reported &= !is_due;
        is_due
    }
}

fn tried_at<'a>(tried: &'a mut Recent<String, Tried>, what: &str, now: Instant) -> &'a mut Tried {
    tried.get_or(what.to_owned(), || Tried { times: 0, at: now, until: now, is_reported: false })
}

/// In memory only: a restart resets it, which is harmless.
pub struct RateLimits {
    buckets: Mutex<Recent<Of, Bucket>>,
    tried: Mutex<Recent<String, Tried>>,
    known: Mutex<Recent<(String, Uuid), ()>>,
    /// Messages within an hour: the time of the first one, and their number.
    reported: Mutex<Recent<String, (Instant, u32)>>,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            buckets: Mutex::new(Recent::new(ROWS)),
            tried: Mutex::new(Recent::new(ROWS)),
            known: Mutex::new(Recent::new(ROWS)),
            reported: Mutex::new(Recent::new(ROWS)),
        }
    }
}

impl RateLimits {
    /// Counts one request of an account, charged to `payer`, or rejects it.
    pub fn take(
        &self,
        account: AccountId,
        payer: AccountId,
        credential: Credential,
        budget: Option<&Budget>,
    ) -> Result<()> {
        self.take_from(Of::all(account, payer, credential), budget)
    }

    /// Counts one request of an OAuth client whose owner is charged to `payer`, or rejects it.
    pub fn take_for_client(&self, payer: AccountId) -> Result<()> {
        self.take_from(std::iter::once(Of::Clients(payer)), None)
    }

    /// Counts one request to a URL that was signed for `account`, or rejects it.
    pub fn take_for_url(&self, account: AccountId) -> Result<()> {
        self.take_from(std::iter::once(Of::Urls(account)), None)
    }

    fn take_from(&self, all: impl Iterator<Item = Of> + Clone, budget: Option<&Budget>) -> Result<()> {
        let Ok(mut buckets) = self.buckets.lock() else { return Ok(()) };
        let left = least(&mut buckets, all.clone());
        if let Some(budget) = budget {
            budget.0.store((left as i64 - 1).max(0), Ordering::Relaxed);
        }
        if left < 1.0 {
            return Err(Error::rate_limit());
        }
        for of in all {
            if let Some(bucket) = buckets.get(&of) {
                bucket.left -= 1.0;
            }
        }
        Ok(())
    }

    /// Records that `what` was rejected. The first `free` rejections have no effect; each further one locks it, for one
    /// second, two, four, up to an hour. Returns whether this was the first one to lock it.
    pub fn failed(&self, what: &str, free: u32) -> bool {
        self.failed_at(what, free, Instant::now())
    }

    fn failed_at(&self, what: &str, free: u32, now: Instant) -> bool {
        let Ok(mut tried) = self.tried.lock() else { return false };
        let found = tried_at(&mut tried, what, now);
        if found.count(free, now) {
            tracing::warn!("{what}: rejected {} times, locked for {:?}", found.times, found.until - now);
        }
        found.times == free + 1
    }

    /// Whether `what` is the first of its kind within an hour, for messages that are not repeated.
    pub fn is_first(&self, what: &str) -> bool {
        self.is_among_first(what, 1)
    }

    /// Whether `what` is among the first `most` of its kind within an hour, for messages that anybody can cause.
    pub fn is_among_first(&self, what: &str, most: u32) -> bool {
        self.is_among_first_at(what, most, Instant::now())
    }

    fn is_among_first_at(&self, what: &str, most: u32, now: Instant) -> bool {
        let Ok(mut reported) = self.reported.lock() else { return false };
        let (since, count) = reported.get_or(what.to_owned(), || (now, 0));
        if now.duration_since(*since) > MEMORY {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= most
    }

    /// Counts an attempt at `what` as rejected before its outcome is known, so that many concurrent ones cannot all be
    /// checked; [`Self::succeeded`] undoes that. `false` if it is locked: do not check.
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
            tracing::warn!("{what}: attempt {}, locked for {:?} unless it succeeds", found.times, found.until - now);
        }
        true
    }

    /// Undoes [`Self::begin`], since the attempt has succeeded.
    pub fn succeeded(&self, what: &str) {
        if let Ok(mut tried) = self.tried.lock()
            && let Some(found) = tried.get(what)
        {
            (found.times, found.until) = (found.times.saturating_sub(1), found.at);
        }
    }

    /// Whether the lockout of `what` is to be reported, and is not yet; it counts as reported then.
    pub fn report_once(&self, what: &str) -> bool {
        let Ok(mut tried) = self.tried.lock() else { return false };
        tried.get(what).is_some_and(|found| !std::mem::replace(&mut found.is_reported, true))
    }

    /// Records that `credential` was valid from this address, so that other clients at the address do not lock it out.
    pub fn remember(&self, address: &str, credential: impl Into<Uuid>) {
        if let Ok(mut known) = self.known.lock() {
            known.insert((address.to_owned(), credential.into()), ());
        }
    }

    /// Whether `credential` was valid from this address before.
    pub fn knows(&self, address: &str, credential: impl Into<Uuid>) -> bool {
        let seen = (address.to_owned(), credential.into());
        self.known.lock().is_ok_and(|mut known| known.get(&seen).is_some())
    }

    /// Whether `what` is locked.
    pub fn is_locked(&self, what: &str) -> bool {
        self.is_locked_at(what, Instant::now())
    }

    fn is_locked_at(&self, what: &str, now: Instant) -> bool {
        self.tried.lock().is_ok_and(|mut tried| tried.get(what).is_some_and(|t| now < t.until))
    }

    /// The number of remaining requests.
    pub fn left(&self, account: AccountId, payer: AccountId, credential: Credential) -> i64 {
        let buckets = self.buckets.lock();
        buckets.map_or(MOST, |mut buckets| least(&mut buckets, Of::all(account, payer, credential)) as i64)
    }
}

/// The remaining requests in the emptiest of the buckets.
fn least(buckets: &mut Recent<Of, Bucket>, all: impl Iterator<Item = Of>) -> f64 {
    let now = Instant::now();
    let left = all.map(|of| {
        let bucket = buckets.get_or(of, || Bucket { left: of.most(), at: now });
        bucket.fill(of.most(), now)
    });
    left.fold(f64::INFINITY, f64::min)
}

/// The remaining requests of the client; set by the code that authenticates it.
#[derive(Clone, Default)]
pub struct Budget(pub Arc<AtomicI64>);

#[cfg(test)]
mod tests {
    use api::ids::{AuthorizationId, SessionId};

    use super::*;

    #[test]
    fn pre_signed_urls_are_limited_apart_from_tokens() {
        let (limits, ada, bob) = (RateLimits::default(), AccountId::from_u128(1), AccountId::from_u128(2));
        assert!((0..MOST).all(|_| limits.take_for_url(ada).is_ok()));
        assert!(limits.take_for_url(ada).is_err() && limits.take_for_url(bob).is_ok());
        let token = Credential::Token(AuthorizationId::from_u128(3));
        assert!(limits.take(ada, ada, token, None).is_ok());
    }

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
    fn the_more_attempts_are_rejected_the_fewer_of_them_are_reported() {
        let (limits, start) = (RateLimits::default(), Instant::now());
        let mut tried = Tried { times: 0, at: start, until: start, is_reported: false };
        let reported = (1..=10_000).filter(|_| tried.count(30, start)).count();
        assert_eq!(reported, 14);
        (0..10_000).for_each(|_| _ = limits.failed_at("a", 30, start));
        assert!(limits.report_once("a"));
        let again = (0..1000).filter(|_| {
            limits.failed_at("a", 30, start);
            limits.report_once("a")
        });
        assert_eq!(again.count(), 0);
    }

    #[test]
    fn messages_that_anybody_can_cause_are_few_within_an_hour() {
        let (limits, start) = (RateLimits::default(), Instant::now());
        let count = |what: &str, most, at| (0..100).filter(|_| limits.is_among_first_at(what, most, at)).count();
        assert_eq!([count("a", 20, start), count("a", 20, start), count("b", 1, start)], [20, 0, 1]);
        assert_eq!(count("a", 20, start + MEMORY + Duration::from_secs(1)), 20);
    }

    #[test]
    fn a_try_counts_before_its_outcome() {
        let (limits, start) = (RateLimits::default(), Instant::now());
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        // Many concurrent attempts: the free ones and one more.
        let begun = (0..100).filter(|_| limits.begin_at("a", 3, start)).count();
        assert_eq!(begun, 4);
        assert!(limits.report_once("a") && !limits.report_once("a"));
        assert!(limits.begin_at("a", 3, after(1)) && !limits.begin_at("a", 3, after(2)));
        assert!(limits.report_once("a"));
        // Successful attempts do not count, however many.
        (0..10).for_each(|_| {
            assert!(limits.begin_at("b", 3, start));
            limits.succeeded("b");
        });
        (0..4).for_each(|_| assert!(limits.begin_at("b", 3, start)));
        assert!(!limits.begin_at("b", 3, start));
    }

    const ONE: AccountId = AccountId::from_u128(1);
    const TWO: AccountId = AccountId::from_u128(2);
    const BOT: AccountId = AccountId::from_u128(3);

    /// The number of requests until one is rejected.
    fn all(limits: &RateLimits, account: AccountId, payer: AccountId, credential: impl Fn() -> Credential) -> i64 {
        let taken = (0..100_000).take_while(|_| limits.take(account, payer, credential(), None).is_ok());
        i64::try_from(taken.count()).unwrap()
    }

    fn token() -> Credential {
        Credential::Token(AuthorizationId::now_v7())
    }

    #[test]
    fn clients_beyond_their_limit_have_to_wait() {
        let (limits, budget) = (RateLimits::default(), Budget::default());
        assert!(all(&limits, ONE, ONE, token) >= MOST);
        let refused = limits.take(ONE, ONE, token(), Some(&budget)).unwrap_err();
        assert!(refused.to_string().contains("reached the API limit"), "{refused}");
        assert_eq!((limits.left(ONE, ONE, token()), budget.0.load(Ordering::Relaxed)), (0, 0));
        assert!(limits.take(TWO, TWO, token(), Some(&budget)).is_ok());
        assert_eq!(budget.0.load(Ordering::Relaxed), MOST - 1);
        // A program that exceeds its limit does not lock anybody out of the console.
        assert!(limits.take(ONE, ONE, Credential::Session(SessionId::nil()), None).is_ok());
    }

    #[test]
    fn more_tokens_and_more_service_accounts_are_no_more_requests() {
        let limits = RateLimits::default();
        let bots = (0..40).map(|n| all(&limits, AccountId::from_u128(100 + n), ONE, token)).sum::<i64>();
        assert!((4 * MOST..5 * MOST).contains(&bots), "{bots}");
        assert!(all(&limits, ONE, ONE, token) >= MOST, "who made them has their own");
        assert!(all(&limits, BOT, TWO, token) >= MOST, "and so have those of others");
    }

    #[test]
    fn clients_of_one_owner_share_a_bucket_of_their_own() {
        let limits = RateLimits::default();
        let taken = (0..100_000).take_while(|_| limits.take_for_client(ONE).is_ok()).count();
        assert!(i64::try_from(taken).unwrap() >= MOST);
        assert!(limits.take_for_client(TWO).is_ok());
        assert!(limits.take(ONE, ONE, token(), None).is_ok() && limits.left(ONE, ONE, token()) >= MOST - 2);
    }

    #[test]
    fn many_others_do_not_fill_a_bucket_again() {
        let limits = RateLimits::default();
        assert!(all(&limits, ONE, ONE, token) >= MOST);
        for n in 0..150_000 {
            let other = AccountId::from_u128(1000 + n);
            limits.take(other, other, token(), None).unwrap();
            if n % 10_000 == 0 {
                assert!(limits.left(ONE, ONE, token()) < 100, "{n}");
            }
        }
    }
}

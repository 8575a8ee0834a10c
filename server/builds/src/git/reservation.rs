//! Disk space of pushes.
//!
//! The space used by completed pushes is measured on the disk; the space reserved by those in progress is recorded
//! here, per repository and per owner, so that concurrent pushes cannot exceed a limit together. A push reserves space
//! in steps, a little ahead of its bytes: a slow one does not block the others. A push that lacks space only because of
//! others waits for a while, since they may fail or need less than they have reserved.

use std::{sync::Arc, time::Duration};

use api::ids::{AccountId, AppId, PushId};
use async_trait::async_trait;
use base::{Error, Paced, Result, error::is_disk_full};
use identity::quotas::{self, Quota};
use repositories::GitLimits;
use sqlx::PgConnection;
use store::quotas::Owner;
use tokio::time::{Instant, timeout_at};

use super::{
    faults, note_size,
    reservations::{Reservations, Reserved},
};
use crate::Builds;

/// The largest step, and the maximum part of the free space per step.
const STEP: u64 = 16 << 20;
const PART: u64 = 8;
/// The minimum step.
const LEAST: u64 = 64 << 10;
/// How long a push waits for space that other pushes have reserved.
const PATIENCE: Duration = Duration::from_secs(30);

/// The next reservation of a push with `bytes`, of at most `most`.
fn next(bytes: u64, most: u64) -> u64 {
    let step = (most.saturating_sub(bytes) / PART).clamp(LEAST, STEP);
    bytes.saturating_add(step).min(most)
}

/// The disk space reserved for one push. Released when all objects are received, or when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Reservation(Arc<Inner>);

struct Inner {
    builds: Builds,
    reservations: Reservations,
    push: PushId,
    by: AccountId,
    app: AppId,
    limit: u64,
}

impl Reservation {
    /// Reserves a first step for a push to `app` that is charged to `by`. Fails with a message for the client if there
    /// is no space. This may take a while, so the caller should have a slot first.
    pub async fn take(builds: &Builds, by: AccountId, app: AppId) -> Result<Self> {
        let (reservations, push) = (builds.git().reservations().clone(), PushId::now_v7());
        let (_tx, owner, free) = measure(builds, (push, by, app)).await?;
        let Free { now, limit } = free.or_crowded()?;
        reservations.all().push(Reserved { push, by, app, owner, bytes: next(0, now), waits: false });
        let builds = builds.clone();
        Ok(Self(Arc::new(Inner { builds, reservations, push, by, app, limit })))
    }

    /// Reserves more, up to a step beyond `bytes`. Waits if others have reserved the space, but not forever.
    async fn take_more(&self, bytes: u64) -> Result<()> {
        let Inner { reservations, push, .. } = &*self.0;
        let deadline = Instant::now() + PATIENCE;
        let outcome = loop {
            // Before the attempt, so that space released during it is not missed.
            let changed = reservations.changed();
            match self.try_more(bytes).await {
                Ok(false) if !reservations.may_wait(*push) => break Err(crowded()),
                Ok(false) => {}
                Ok(true) => break Ok(()),
                Err(err) => break Err(err),
            }
            if timeout_at(deadline, changed).await.is_err() {
                break Err(crowded());
            }
        };
        reservations.stop_waiting(*push);
        outcome
    }

    /// Like [`Reservation::take_more`], without waiting: returns whether there was enough space. Fails if there would
    /// not be enough even without the other pushes.
    async fn try_more(&self, bytes: u64) -> Result<bool> {
        let Inner { builds, reservations, push, by, app, limit } = &*self.0;
        let (mut tx, _, free) = measure(builds, (*push, *by, *app)).await?;
        if free.limit.min(*limit) < bytes {
            return Err(self.too_large(&mut tx, bytes).await);
        }
        let most = free.now.min(*limit);
        if most >= bytes {
            reservations.resize(*push, next(bytes, most));
        }
        Ok(most >= bytes)
    }

    /// The reason why a push of `bytes` is too large, regardless of the other pushes.
    async fn too_large(&self, tx: &mut PgConnection, bytes: u64) -> Error {
        let GitLimits { repository_bytes, push_bytes, .. } = self.0.builds.config().git;
        if bytes > push_bytes {
            let most = push_bytes >> 20;
            return Error::forbidden(format!("The push is larger than {most} MB. Split it into several pushes."));
        }
        let all = i64::try_from(bytes).unwrap_or(i64::MAX);
        match quotas::admit_for_app(tx, self.0.app, Quota::Repositories, all).await {
            Err(err) => err,
            Ok(()) => full(repository_bytes),
        }
    }

    /// Releases unneeded space, now that the size of the objects can be measured.
    pub async fn release(self) -> anyhow::Result<()> {
        let noted = note_size(&self.0.builds, self.0.app).await;
        self.0.end();
        noted
    }
}

#[async_trait]
impl repositories::SpaceLimit for Reservation {
    fn limit(&self) -> u64 {
        self.0.limit
    }

    async fn grow(&self, bytes: u64) -> std::result::Result<(), String> {
        // All objects are received, and the reservation is released.
        let Some(taken) = self.0.reservations.of(self.0.push) else { return Ok(()) };
        if bytes <= taken {
            return Ok(());
        }
        self.take_more(bytes).await.map_err(|err| match err {
            Error::Public(err) => err.message,
            Error::Internal(cause) => {
                if !is_disk_full(&cause) {
                    tracing::error!(app.id = %self.0.app, "could not reserve space for a push: {cause:#}");
                }
                faults::message(&cause).to_owned()
            }
        })
    }
}

impl Inner {
    fn end(&self) {
        self.reservations.release(self.push);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}

/// Rejects a push if there is no space for another one. Reserves nothing, since the push has not begun.
pub(super) async fn must_have_space(builds: &Builds, by: AccountId, app: AppId) -> Result<()> {
    let (_tx, _, free) = measure(builds, (PushId::now_v7(), by, app)).await?;
    free.or_crowded().map(drop)
}

fn full(most: u64) -> Error {
    Error::forbidden(format!(
        "The repository is full: it would be larger than {} MB. Delete unused branches, or recreate the app.",
        most >> 20
    ))
}

fn crowded() -> Error {
    Error::forbidden("Other pushes in progress have taken the remaining space. Push again when they have finished.")
}

/// The space that a push may use, in bytes.
struct Free {
    /// Taking the other pushes into account.
    now: u64,
    /// Ignoring the other pushes, since their reservations may be released later.
    limit: u64,
}

impl Free {
    /// Fails if it is too little for a push to begin.
    fn or_crowded(self) -> Result<Self> {
        if self.now == 0 { Err(crowded()) } else { Ok(self) }
    }
}

/// The space for a push, and whose quota it counts towards. Pushes to repositories of the same owner are checked one at a
/// time: the next one waits for the end of the transaction.
async fn measure(builds: &Builds, (push, by, app): (PushId, AccountId, AppId)) -> Result<(Paced, Owner, Free)> {
    // Before locking anything, since it may take long; `free` uses the result.
    builds.git().size(app).await;
    let mut tx = builds.begin_for(by).await?;
    let (owner, left) = quotas::left_for_app(&mut tx, app, Quota::Repositories).await?;
    let free = free(builds, (push, by, app), (owner, left))?;
    Ok((tx, owner, free))
}

/// The space for a push, based on the last measurement.
fn free(
    builds: &Builds,
    (push, by, app): (PushId, AccountId, AppId),
    (owner, left): (Owner, Option<i64>),
) -> Result<Free> {
    dyno::disks::must_have_space(&builds.config().data, 0)?;
    let GitLimits { repository_bytes: most, push_bytes, .. } = builds.config().git;
    let reservations = builds.git().reservations();
    let size = builds.git().last_size(app).unwrap_or(0);
    if size >= most {
        return Err(full(most));
    }
    let of_owner = left.map_or(u64::MAX, |left| u64::try_from(left).unwrap_or(0));
    let limit = of_owner.min(most - size).min(push_bytes);
    let in_repository = reservations.left(most - size, (push, by), |taken| taken.app == app);
    let of_owner = reservations.left(of_owner, (push, by), |taken| taken.owner == owner);
    Ok(Free { now: in_repository.min(of_owner).min(push_bytes), limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: PushId = PushId::nil();

    #[test]
    fn pushes_of_one_person_leave_room_to_others() {
        let reservations = Reservations::default();
        let (ada, bob, app) = (AccountId::from_u128(1), AccountId::from_u128(2), AppId::from_u128(3));
        let owner = quotas::owner(Some(ada), None);
        let left = |by| reservations.left(20, (NEW, by), |taken| taken.owner == owner);
        let mut pushes = 0;
        while left(bob) > 0 && pushes < 20 {
            let bytes = left(bob).min(2);
            reservations.all().push(Reserved { push: PushId::now_v7(), by: bob, app, owner, bytes, waits: false });
            pushes += 1;
        }
        assert_eq!((pushes, left(ada)), (5, 10));
        // A single push may use all of the space.
        assert_eq!(Reservations::default().left(20, (NEW, bob), |_| true), 20);
    }

    #[test]
    fn of_pushes_that_do_not_all_fit_the_first_comes_to_its_end() {
        let (reservations, bob, app, room) =
            (Reservations::default(), AccountId::from_u128(2), AppId::from_u128(3), 30 << 20);
        let owner = quotas::owner(Some(bob), None);
        let pushes: Vec<_> = (1..=5).map(|push| PushId::from_u128(10 + push)).collect();
        let left = |push| reservations.left(room, (push, bob), |taken| taken.owner == owner);
        for push in &pushes {
            let bytes = next(0, left(*push));
            reservations.all().push(Reserved { push: *push, by: bob, app, owner, bytes, waits: false });
        }
        // Each push sends 12 MB, and the last one is always ahead of the others.
        let mut refused = 0;
        for came in (1..=12u64).map(|came| came << 20) {
            for push in pushes.iter().rev() {
                let Some(taken) = reservations.of(*push) else { continue };
                let most = left(*push);
                if came > taken && most < came {
                    reservations.all().retain(|taken| taken.push != *push);
                    refused += 1;
                } else if came > taken {
                    reservations.all().iter_mut().find(|taken| taken.push == *push).unwrap().bytes = next(came, most);
                }
            }
        }
        let taken: u64 = reservations.all().iter().map(|taken| taken.bytes).sum();
        assert!(reservations.of(pushes[0]) >= Some(12 << 20) && refused > 0 && taken <= room, "{refused} {taken}");
    }

    #[test]
    fn as_many_come_to_their_end_as_fit() {
        let (reservations, bob, app) = (Reservations::default(), AccountId::from_u128(2), AppId::from_u128(3));
        let owner = quotas::owner(Some(bob), None);
        let left = |room, push| reservations.left(room, (push, bob), |taken| taken.owner == owner);
        let (whole, mut room, mut landed) = (12 << 20, 30u64 << 20, 0);
        // The bytes that each push has sent so far.
        let mut pushes: Vec<_> = (1..=5).map(|push| (PushId::from_u128(10 + push), 0u64)).collect();
        for (push, _) in &pushes {
            let bytes = next(0, left(room, *push));
            reservations.all().push(Reserved { push: *push, by: bob, app, owner, bytes, waits: false });
        }
        while !pushes.is_empty() {
            // The last one is always ahead.
            for (push, came) in pushes.iter_mut().rev() {
                let bytes = *came + (1 << 20);
                let (taken, most) = (reservations.of(*push).unwrap(), left(room, *push));
                if bytes <= taken || bytes <= most {
                    reservations.resize(*push, taken.max(next(bytes, most).min(most)));
                    reservations.stop_waiting(*push);
                    *came = bytes;
                } else if bytes > room || !reservations.may_wait(*push) {
                    reservations.release(*push);
                }
                if *came == whole {
                    reservations.release(*push);
                    (room, landed) = (room - whole, landed + 1);
                }
            }
            pushes.retain(|(push, _)| reservations.of(*push).is_some());
        }
        assert_eq!(landed, 2);
    }

    #[test]
    fn of_those_of_an_owner_that_lack_space_only_the_oldest_waits() {
        let (reservations, app) = (Reservations::default(), AppId::from_u128(3));
        let [old, new, other] = [4, 5, 6].map(PushId::from_u128);
        let [ada, bob] = [1, 2].map(AccountId::from_u128);
        for (push, of) in [(old, ada), (new, ada), (other, bob)] {
            let owner = quotas::owner(Some(of), None);
            reservations.all().push(Reserved { push, by: of, app, owner, bytes: 1, waits: false });
        }
        assert!(reservations.may_wait(new) && reservations.may_wait(other));
        // It also waits, so the newer one gives way.
        assert!(reservations.may_wait(old) && !reservations.may_wait(new) && reservations.may_wait(other));
        reservations.stop_waiting(old);
        assert!(reservations.may_wait(new));
        reservations.release(new);
        assert!(!reservations.may_wait(new));
    }

    #[test]
    fn a_push_reserves_its_size_and_a_little_more() {
        let reservations = Reservations::default();
        let (ada, bob, push, app) =
            (AccountId::from_u128(1), AccountId::from_u128(2), PushId::from_u128(4), AppId::from_u128(3));
        let (owner, room) = (quotas::owner(Some(ada), None), 10 << 20);
        reservations.all().push(Reserved { push, by: bob, app, owner, bytes: next(0, room), waits: false });
        let left = |push, by| reservations.left(room, (push, by), |taken| taken.owner == owner);
        assert!(left(NEW, ada) > room * 3 / 4);
        // Its reservation counts only once: it can complete.
        assert_eq!(left(push, bob), room);
        let mut steps = 0;
        while reservations.of(push).unwrap() < room {
            let more = next(reservations.of(push).unwrap() + 1, left(push, bob));
            reservations.all()[0].bytes = more;
            steps += 1;
        }
        assert!((8..60).contains(&steps), "{steps}");
        assert_eq!((next(0, 2 << 30), next(5, 10), next(10, 10)), (STEP, 10, 10));
    }
}

//! The disk space reserved by pushes in progress, and which of those that lack space may wait for it.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use api::ids::{AccountId, AppId, PushId};
use store::quotas::Owner;
use tokio::sync::{Notify, futures::Notified};

/// The disk space reserved by pushes in progress, in the order in which they began.
#[derive(Clone, Default)]
pub(crate) struct Reservations {
    all: Arc<Mutex<Vec<Reserved>>>,
    /// Notified when space was released, or when an older push begins to wait.
    changed: Arc<Notify>,
}

#[derive(Clone, Copy)]
pub(super) struct Reserved {
    pub push: PushId,
    pub by: AccountId,
    pub app: AppId,
    pub owner: Owner,
    pub bytes: u64,
    /// Whether it lacks space, and waits for others to release some.
    pub waits: bool,
}

impl Reservations {
    pub(super) fn all(&self) -> MutexGuard<'_, Vec<Reserved>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, push: PushId) -> Option<u64> {
        self.all().iter().find(|taken| taken.push == push).map(|taken| taken.bytes)
    }

    /// Resolves when a waiting push should try again; includes notifications from this call on.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Sets what a push has reserved.
    pub(super) fn resize(&self, push: PushId, bytes: u64) {
        if let Some(taken) = self.all().iter_mut().find(|taken| taken.push == push) {
            taken.bytes = bytes;
        }
    }

    /// Releases what a push has reserved.
    pub(super) fn release(&self, push: PushId) {
        self.all().retain(|taken| taken.push != push);
        self.changed.notify_waiters();
    }

    /// Lets a push that lacks space wait for others to release some; `false` if an older one of the same owner is
    /// waiting. Several waiting pushes could deadlock, each with a part of the space that one of them needs: only the
    /// oldest waits, and newer ones fail.
    pub(super) fn may_wait(&self, push: PushId) -> bool {
        let mut all = self.all();
        let Some(at) = all.iter().position(|taken| taken.push == push) else { return false };
        let owner = all[at].owner;
        if all[..at].iter().any(|older| older.waits && older.owner == owner) {
            return false;
        }
        if !mem::replace(&mut all[at].waits, true) {
            self.changed.notify_waiters();
        }
        true
    }

    /// Records that a push is no longer waiting.
    pub(super) fn stop_waiting(&self, push: PushId) {
        if let Some(taken) = self.all().iter_mut().find(|taken| taken.push == push) {
            taken.waits = false;
        }
    }

    /// How much of `room` a push of `by` can use, given the other pushes. Several concurrent pushes of one person leave
    /// half of it to others; otherwise anyone who can push to one app could prevent its owner from pushing to any. This
    /// does not apply to the first of them, since otherwise none might be able to finish.
    pub(super) fn left(&self, room: u64, (push, by): (PushId, AccountId), which: impl Fn(&Reserved) -> bool) -> u64 {
        let other = |taken: &&Reserved| which(taken) && taken.push != push;
        let sum = |all: &mut dyn Iterator<Item = &Reserved>| all.map(|taken| taken.bytes).sum::<u64>();
        let all = self.all();
        let free = room.saturating_sub(sum(&mut all.iter().filter(other)));
        let before = all.iter().take_while(|taken| taken.push != push);
        match sum(&mut before.filter(other).filter(|taken| taken.by == by)) {
            0 => free,
            own => free.min((room / 2).saturating_sub(own)),
        }
    }
}

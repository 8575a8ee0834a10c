//! The disk space reserved by pushes in progress.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::ids::{AccountId, AppId, PushId};
use store::quotas::Owner;

/// The disk space reserved by pushes in progress, in the order in which they began.
#[derive(Clone, Default)]
pub(crate) struct Reservations(Arc<Mutex<Vec<Reserved>>>);

#[derive(Clone, Copy)]
pub(super) struct Reserved {
    pub push: PushId,
    pub by: AccountId,
    pub app: AppId,
    pub owner: Owner,
    pub bytes: u64,
}

impl Reservations {
    pub(super) fn all(&self) -> MutexGuard<'_, Vec<Reserved>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, push: PushId) -> Option<u64> {
        self.all().iter().find(|taken| taken.push == push).map(|taken| taken.bytes)
    }

    /// How much of `room` a push of `by` may have, given the others. Several concurrent pushes of one person leave half
    /// of it to others, or anyone who may push to one app could keep its owner from pushing to any. This does not apply
    /// to the first of them, or possibly none could finish.
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

//! Room: how many bytes a push may bring into a repository.
//!
//! What pushes have brought is seen on the disk; what those under way may bring yet is kept in mind here, for each
//! repository and each owner, so that many at once bring no more than one after the other could.

use std::sync::{Arc, Mutex, PoisonError};

use store::quotas::Owner;
use uuid::Uuid;

use super::{limits::GitLimits, repositories};
use crate::{
    Platform,
    error::{Error, Result},
    quotas::{self, Quota},
};

/// What pushes under way may bring.
#[derive(Clone, Default)]
pub(crate) struct Rooms(Arc<Mutex<Vec<Taken>>>);

struct Taken {
    push: Uuid,
    by: Uuid,
    app: Uuid,
    owner: Owner,
    bytes: u64,
}

impl Rooms {
    fn sum(&self, which: impl Fn(&Taken) -> bool) -> u64 {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.iter().filter(|taken| which(taken)).map(|taken| taken.bytes).sum()
    }

    /// What is left of `room` for one more push of `by`. Several at once of one person leave half to others, or
    /// whoever may push to one app could keep its owner from pushing to any.
    fn left(&self, room: u64, by: Uuid, which: impl Fn(&Taken) -> bool) -> u64 {
        let free = room.saturating_sub(self.sum(&which));
        match self.sum(|taken| which(taken) && taken.by == by) {
            0 => free,
            own => free.min((room / 2).saturating_sub(own)),
        }
    }
}

/// The room of one push, until its objects are there or it is dropped.
pub(super) struct Room {
    rooms: Rooms,
    push: Uuid,
    app: Uuid,
    pub bytes: u64,
}

impl Room {
    /// Takes what room there is for a push to `app` that `by` pays for and that brings `announced` bytes, or it does not say how many. An
    /// error that says so when there is none.
    pub async fn take(platform: &Platform, by: Uuid, app: Uuid, announced: Option<u64>) -> Result<Self> {
        let rooms = platform.git().rooms().clone();
        // Pushes to the same owner's repositories look one after the other.
        let mut tx = platform.db().begin().await?;
        let (owner, left) = quotas::left_for_app(&mut tx, app, Quota::Repositories).await?;
        let bytes = free(platform, &rooms, (by, app), (owner, left)).await?.min(announced.unwrap_or(u64::MAX));
        let push = Uuid::now_v7();
        let taken = Taken { push, by, app, owner, bytes };
        rooms.0.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
        Ok(Self { rooms, push, app, bytes })
    }

    /// Gives back what was not needed, now that what came can be seen.
    pub async fn give_back(self, platform: &Platform) -> anyhow::Result<()> {
        repositories::note_size(platform, self.app).await
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.rooms.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|taken| taken.push != self.push);
    }
}

/// Refuses when there is no room for anything.
pub(super) async fn must_have_room(platform: &Platform, by: Uuid, app: Uuid) -> Result<()> {
    Room::take(platform, by, app, Some(0)).await.map(drop)
}

async fn free(
    platform: &Platform,
    rooms: &Rooms,
    (by, app): (Uuid, Uuid),
    (owner, left): (Owner, Option<i64>),
) -> Result<u64> {
    dyno::disks::must_have_room(&platform.config().data, dyno::disks::RESERVE)?;
    let GitLimits { repository_bytes: most, push_bytes, .. } = platform.config().git;
    let size = repositories::size(&repositories::path(platform, app)).await;
    if size >= most {
        return Err(Error::forbidden(format!(
            "The repository is full: it takes up more than {} MB. Remove branches that nobody needs, or make the app anew.",
            most >> 20
        )));
    }
    let in_repository = rooms.left(most - size, by, |taken| taken.app == app);
    let of_owner = left.map_or(u64::MAX, |left| u64::try_from(left).unwrap_or(0));
    let of_owner = rooms.left(of_owner, by, |taken| taken.owner == owner);
    match in_repository.min(of_owner).min(push_bytes) {
        0 => Err(Error::forbidden(
            "Other pushes that are under way may take all the room that is left. Push again when they have ended.",
        )),
        free => Ok(free),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_of_one_person_leave_room_to_others() {
        let rooms = Rooms::default();
        let (ada, bob, app) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let owner = quotas::owner(Some(ada), None);
        let left = |by| rooms.left(20, by, |taken| taken.owner == owner);
        let mut pushes = 0;
        while left(bob) > 0 && pushes < 20 {
            let bytes = left(bob).min(2);
            rooms.0.lock().unwrap().push(Taken { push: Uuid::now_v7(), by: bob, app, owner, bytes });
            pushes += 1;
        }
        assert_eq!((pushes, left(ada)), (5, 10));
        // A single push may have all that there is.
        assert_eq!(Rooms::default().left(20, bob, |_| true), 20);
    }
}

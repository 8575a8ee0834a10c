//! Followers of changes: each gets the nouns of the events that concern them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use api::{ids::AccountId, live::Changed};
use base::recorded::{Concerned, Recorded};
use tokio::sync::broadcast::{self, Receiver, error::RecvError};

/// Events that are sent together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) events: BTreeSet<Recorded>,
    /// The followers among the teams, viewers and companions that the events concern.
    pub(super) includes: BTreeSet<(AccountId, Concerned)>,
    /// Which followers administer the platform, and receive everything.
    pub(super) administrators: BTreeSet<AccountId>,
}

impl Batch {
    /// The part of it that concerns this account.
    fn for_account(&self, account: AccountId) -> Changed {
        if self.events.contains(&Recorded::Anything) {
            return anything();
        }
        let includes = |concerned| match concerned {
            Concerned::Everybody => true,
            Concerned::Account(id) => id == account,
            of => self.includes.contains(&(account, of)),
        };
        let is_admin = self.administrators.contains(&account);
        let events = self.events.iter().filter(|event| is_admin || event.concerns(includes));
        Changed { nouns: events.filter_map(Recorded::noun).map(str::to_owned).collect(), anything: false }
    }
}

fn anything() -> Changed {
    Changed { anything: true, ..Changed::default() }
}

/// All followers of this server, and the channel to them.
pub(crate) struct Followers {
    /// The number of followers of each account.
    counts: Mutex<BTreeMap<AccountId, usize>>,
    batches: broadcast::Sender<Arc<Batch>>,
}

impl Default for Followers {
    fn default() -> Self {
        Self { counts: Mutex::default(), batches: broadcast::channel(64).0 }
    }
}

impl Followers {
    /// Follows changes for an account.
    pub(super) fn follow(self: &Arc<Self>, account: AccountId) -> Follower {
        *self.counts().entry(account).or_default() += 1;
        Follower { batches: self.batches.subscribe(), all: self.clone(), account }
    }

    /// The accounts that follow.
    pub(super) fn accounts(&self) -> Vec<AccountId> {
        self.counts().keys().copied().collect()
    }

    /// Sends a batch to all of them.
    pub(super) fn send(&self, batch: Batch) {
        // Without followers, it is dropped.
        let _ = self.batches.send(Arc::new(batch));
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<AccountId, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows changes until it is dropped.
pub(super) struct Follower {
    batches: Receiver<Arc<Batch>>,
    all: Arc<Followers>,
    account: AccountId,
}

impl Follower {
    /// The next changes; may be empty if none concerns the account. `None` if there will be no more.
    pub(super) async fn next(&mut self) -> Option<Changed> {
        match self.batches.recv().await {
            Ok(batch) => Some(batch.for_account(self.account)),
            Err(RecvError::Lagged(_)) => Some(anything()),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut counts = self.all.counts();
        if let Some(count) = counts.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use api::ids::TeamId;

    use super::*;

    const ADA: AccountId = AccountId::from_u128(1);
    const BOB: AccountId = AccountId::from_u128(2);
    const ADMIN: AccountId = AccountId::from_u128(3);
    const ACME: TeamId = TeamId::from_u128(4);

    fn event(noun: &str, to: &[Concerned]) -> Recorded {
        Recorded::Event { noun: noun.into(), app: None, to: Some(to.iter().copied().collect()) }
    }

    #[tokio::test]
    async fn users_learn_what_concerns_them_and_administrators_everything() {
        let all = Arc::new(Followers::default());
        let (mut ada, mut bob, mut admin) = (all.follow(ADA), all.follow(BOB), all.follow(ADMIN));
        let events = BTreeSet::from([
            event("session", &[Concerned::Account(BOB)]),
            event("team", &[Concerned::Account(BOB), Concerned::Team(ACME)]),
            event("quota", &[Concerned::Everybody]),
            event("job", &[]),
        ]);
        let includes = BTreeSet::from([(ADA, Concerned::Team(ACME))]);
        all.send(Batch { events: events.clone(), includes, administrators: BTreeSet::from([ADMIN]) });
        for (follower, nouns) in [
            (&mut ada, ["quota", "team"].as_slice()),
            (&mut bob, ["quota", "session", "team"].as_slice()),
            (&mut admin, ["job", "quota", "session", "team"].as_slice()),
        ] {
            let mut told: Vec<String> = follower.next().await.unwrap().nouns.into_iter().collect();
            told.sort();
            assert_eq!(told, nouns);
        }
        // Meanwhile, others have become administrators.
        all.send(Batch { events, administrators: BTreeSet::from([ADA]), ..Batch::default() });
        assert_eq!(ada.next().await.unwrap().nouns.len(), 4);
        let nouns: Vec<String> = admin.next().await.unwrap().nouns.into_iter().collect();
        assert_eq!(nouns, ["quota"]);
        bob.next().await;
        all.send(Batch { events: BTreeSet::from([Recorded::Anything]), ..Batch::default() });
        assert!(bob.next().await.unwrap().anything);
    }

    #[test]
    fn an_account_follows_as_long_as_one_of_its_followers_does() {
        let all = Arc::new(Followers::default());
        let (first, second) = (all.follow(ADA), all.follow(ADA));
        drop(first);
        assert_eq!(all.accounts(), [ADA]);
        drop(second);
        assert!(all.accounts().is_empty());
    }
}

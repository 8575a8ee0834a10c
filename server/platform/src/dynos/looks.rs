//! Which apps a run of the supervisor looks at: those of which something is new, and now and then all.
//!
//! What it knows of the others is from an earlier run. A change of the database is published and names its app; what
//! happens to a process of this host is [noted](Stirred). Whatever comes while a run looks is taken by the next one.
//! Where messages may have been missed, a run looks at all apps.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::ids::AppId;
use base::{Kind, bus::Changed};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

/// The kinds of changes that wake the supervisor.
pub(crate) const WAKING: &[Kind] = &[Kind::App, Kind::Formation, Kind::Release, Kind::Dyno, Kind::Slug];

/// The apps of which a process on this host has ended, has been read to the end, or accepts connections. None of this is
/// in the database yet.
#[derive(Default)]
pub(crate) struct Stirred(Mutex<BTreeSet<AppId>>);

impl Stirred {
    /// Adds an app.
    pub(crate) fn add(&self, app: AppId) {
        self.lock().insert(app);
    }

    fn take(&self) -> BTreeSet<AppId> {
        mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<AppId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The apps that one run looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Apps {
    All,
    Only(BTreeSet<AppId>),
}

/// What the next run looks at.
pub(super) struct Looks {
    changes: Receiver<Changed>,
    /// How often to look at all apps although no message was missed as far as known.
    every: Duration,
    all_at: Option<Instant>,
    /// The apps for which the last run has left something to do.
    left: BTreeSet<AppId>,
    /// When something is due for an app if nothing happens.
    due: BTreeMap<AppId, Instant>,
}

impl Looks {
    /// The first run looks at all apps.
    pub fn new(changes: Receiver<Changed>, every: Duration) -> Self {
        Self { changes, every, all_at: None, left: BTreeSet::new(), due: BTreeMap::new() }
    }

    /// The apps for a run that begins `now`. `knows_others` says whether what the last run knew was kept.
    pub fn take(&mut self, stirred: &Stirred, knows_others: bool, now: Instant) -> Apps {
        let mut apps = mem::take(&mut self.left);
        apps.append(&mut stirred.take());
        apps.extend(self.due.iter().filter(|(_, at)| **at <= now).map(|(app, _)| *app));
        let is_complete = self.hear(&mut apps);
        let is_recent = self.all_at.is_some_and(|at| now.duration_since(at) < self.every);
        if knows_others && is_complete && is_recent {
            return Apps::Only(apps);
        }
        self.all_at = Some(now);
        Apps::All
    }

    /// Adds the apps that have changed. Returns `false` if others may have changed too.
    fn hear(&mut self, apps: &mut BTreeSet<AppId>) -> bool {
        let mut is_complete = true;
        loop {
            match self.changes.try_recv() {
                Ok(Changed { kind: Kind::Anything, .. }) | Err(TryRecvError::Lagged(_)) => is_complete = false,
                Ok(Changed { kind, app, .. }) if is_about_dynos(kind) => match app {
                    Some(app) => drop(apps.insert(app)),
                    None => is_complete = false,
                },
                Ok(_) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return is_complete,
            }
        }
    }

    /// Notes for which apps a run has left something to do, and for which something is due at what time.
    pub fn note(&mut self, left: BTreeSet<AppId>, due: BTreeMap<AppId, Instant>) {
        (self.left, self.due) = (left, due);
    }
}

/// Whether a change may be one of what the supervisor reads. The state of dynos is written by supervisors only, but there
/// can be another one, for a moment: this wakes nobody.
fn is_about_dynos(kind: Kind) -> bool {
    WAKING.contains(&kind) || kind == Kind::DynoState
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast::{Sender, channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn app(n: u128) -> AppId {
        AppId::from_u128(n)
    }

    fn only(apps: &[u128]) -> Apps {
        Apps::Only(apps.iter().map(|n| app(*n)).collect())
    }

    /// After a look at all apps at the returned time, with room for four messages.
    fn looked() -> (Sender<Changed>, Stirred, Looks, Instant) {
        let (sender, receiver) = channel(4);
        let (stirred, mut looks, now) = (Stirred::default(), Looks::new(receiver, LONG), Instant::now());
        assert_eq!(looks.take(&stirred, false, now), Apps::All);
        (sender, stirred, looks, now)
    }

    #[test]
    fn a_run_looks_at_apps_of_which_something_is_new() {
        let (sender, stirred, mut looks, now) = looked();
        assert_eq!(looks.take(&stirred, true, now), only(&[]));
        for (kind, n) in [(Kind::Release, 1), (Kind::DynoState, 2), (Kind::Build, 3), (Kind::Session, 4)] {
            sender.send(Changed::new(kind, Some(app(n)))).unwrap();
        }
        stirred.add(app(5));
        looks.note(BTreeSet::from([app(6)]), BTreeMap::from([(app(7), now), (app(8), now + LONG / 2)]));
        assert_eq!(looks.take(&stirred, true, now), only(&[1, 2, 5, 6, 7]));
    }

    #[test]
    fn what_comes_while_a_run_looks_is_taken_by_the_next() {
        let (sender, stirred, mut looks, now) = looked();
        sender.send(Changed::new(Kind::Formation, Some(app(1)))).unwrap();
        assert_eq!(looks.take(&stirred, true, now), only(&[1]));
        sender.send(Changed::new(Kind::Formation, Some(app(1)))).unwrap();
        stirred.add(app(2));
        looks.note(BTreeSet::new(), BTreeMap::new());
        assert_eq!(looks.take(&stirred, true, now), only(&[1, 2]));
        assert_eq!(looks.take(&stirred, true, now), only(&[]));
    }

    #[test]
    fn a_run_looks_at_all_apps_where_it_may_have_missed_something() {
        let named = Changed::new(Kind::App, Some(app(1)));
        let cases = [
            ("messages were lost", vec![Changed::new(Kind::Anything, None)]),
            ("a message of everything that names an app", vec![Changed::new(Kind::Anything, Some(app(1)))]),
            ("a message names no app", vec![named, Changed::new(Kind::Release, None)]),
            ("too many messages", vec![named; 5]),
        ];
        for (what, messages) in cases {
            let (sender, stirred, mut looks, now) = looked();
            for message in messages {
                sender.send(message).unwrap();
            }
            assert_eq!(looks.take(&stirred, true, now), Apps::All, "{what}");
            assert_eq!(looks.take(&stirred, true, now), only(&[]), "after: {what}");
        }
        let (_sender, stirred, mut looks, now) = looked();
        assert_eq!(looks.take(&stirred, false, now), Apps::All, "the last run failed");
        assert_eq!(looks.take(&stirred, true, now + LONG), Apps::All, "a message may have been missed unnoticed");
        assert_eq!(looks.take(&stirred, true, now + LONG), only(&[]));
    }
}

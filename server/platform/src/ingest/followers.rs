//! The followed outputs.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::{
    dynos::DynoState,
    ids::{AppId, ReleaseId, RunId},
};
use chrono::{DateTime, Utc};
use tokio::sync::Notify;

/// The number of removed dynos of which is known when they wrote their last lines.
const MOST_REMOVED: usize = 1000;

pub(super) type Shared = Arc<Mutex<logs::Follower>>;

/// The outputs that are followed, by run.
#[derive(Default)]
pub(crate) struct Ingest {
    followers: Mutex<HashMap<RunId, Followed>>,
    /// The dynos that were removed last, newest last.
    removed: Mutex<VecDeque<Removed>>,
    /// One more is followed.
    pub(super) began: Notify,
    /// A dyno has ended, and is to be read to the end.
    pub(super) ended: Notify,
    /// Held by tests to pause reading the output of ended dynos.
    #[cfg(feature = "testing")]
    pub(super) gate: Arc<tokio::sync::Mutex<()>>,
}

/// When a dyno that is gone wrote its last lines.
struct Removed {
    release: ReleaseId,
    name: String,
    last_times: Vec<DateTime<Utc>>,
}

struct Followed {
    app: AppId,
    follower: Shared,
    stage: Stage,
    /// The state of the dyno before it crashed.
    was: Option<DynoState>,
    /// When reading first failed after the dyno had ended.
    failing_since: Option<Instant>,
}

/// The stage of a dyno and its output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Runs,
    /// It has ended, and may have more output.
    Ended,
    /// It has ended, and all of its output has been read.
    Read,
}

impl Ingest {
    /// Follows another dyno, which runs as far as known. If it is followed already, nothing changes: two followers
    /// would copy each line twice.
    pub(super) fn add(&self, app: AppId, run: RunId, follower: logs::Follower) {
        let follower = Arc::new(Mutex::new(follower));
        let followed = Followed { app, follower, stage: Stage::Runs, was: None, failing_since: None };
        self.lock().entry(run).or_insert(followed);
        self.began.notify_one();
    }

    /// Whether the output of this run is followed, or was read completely and is not forgotten yet.
    pub(crate) fn has(&self, run: RunId) -> bool {
        self.lock().contains_key(&run)
    }

    /// Whether the dyno of this run has ended and is not removed yet.
    pub(crate) fn has_ended(&self, run: RunId) -> bool {
        self.lock().get(&run).is_some_and(|followed| followed.stage != Stage::Runs)
    }

    /// All runs, whatever their stage.
    pub(super) fn all(&self) -> Vec<Shared> {
        self.lock().values().map(|followed| followed.follower.clone()).collect()
    }

    /// The runs in a stage.
    pub(super) fn in_stage(&self, stage: Stage) -> Vec<(RunId, Shared)> {
        let all = self.lock();
        let those = all.iter().filter(|(_, followed)| followed.stage == stage);
        those.map(|(run, followed)| (*run, followed.follower.clone())).collect()
    }

    /// Records that a dyno has ended. Returns its new stage; `None` if it is not followed.
    pub(super) fn end(&self, run: RunId) -> Option<Stage> {
        let mut all = self.lock();
        let followed = all.get_mut(&run)?;
        if followed.stage == Stage::Runs {
            followed.stage = Stage::Ended;
            self.ended.notify_one();
        }
        Some(followed.stage)
    }

    /// Records that the output of an ended dyno was read completely. Returns its app; `None` if it is not followed.
    pub(super) fn was_read(&self, run: RunId) -> Option<AppId> {
        let mut all = self.lock();
        let followed = all.get_mut(&run)?;
        followed.stage = Stage::Read;
        Some(followed.app)
    }

    /// Records that reading the output of an ended dyno failed. Returns whether the first failure is this long ago.
    pub(super) fn has_failed_for(&self, run: RunId, time: Duration) -> bool {
        let mut all = self.lock();
        let Some(followed) = all.get_mut(&run) else { return true };
        followed.failing_since.get_or_insert_with(Instant::now).elapsed() >= time
    }

    /// Records the state of a dyno before it crashed, for the line after its output.
    pub(crate) fn note_state(&self, run: RunId, was: DynoState) {
        if let Some(followed) = self.lock().get_mut(&run) {
            followed.was = Some(was);
        }
    }

    /// The state of a dyno before it crashed, if it was recorded.
    pub(crate) fn noted_state(&self, run: RunId) -> Option<DynoState> {
        self.lock().get(&run)?.was
    }

    /// Stops following a dyno whose output was removed, and remembers when it wrote its last lines.
    pub(crate) fn forget_dyno(&self, run: RunId, release: ReleaseId, name: &str) {
        let Some(follower) = self.take(run) else { return };
        let Some(last_times) = follower.lock().ok().and_then(|follower| follower.last_times()) else { return };
        let mut removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        removed.retain(|other| other.release != release || other.name != name);
        removed.push_back(Removed { release, name: name.to_owned(), last_times });
        let over = removed.len().saturating_sub(MOST_REMOVED);
        removed.drain(..over);
    }

    /// When the last dyno of a release with this name wrote its last lines, at most ten, oldest first. `None` if it was
    /// not removed recently, or not by this process.
    pub(crate) fn last_times(&self, release: ReleaseId, name: &str) -> Option<Vec<DateTime<Utc>>> {
        let removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        let found = removed.iter().find(|other| other.release == release && other.name == name)?;
        Some(found.last_times.clone())
    }

    /// Stops following a run whose output was removed.
    pub(crate) fn forget(&self, run: RunId) {
        self.take(run);
    }

    pub(super) fn take(&self, run: RunId) -> Option<Shared> {
        self.lock().remove(&run).map(|followed| followed.follower)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Followed>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Reading log lines without delaying other readers.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use api::ids::{AccountId, AppId, ReleaseId};
use base::{Error, Result, slots::Slot};
use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

use crate::Platform;

/// The time limit of a search.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(10);
/// The maximum number of bytes that a search reads.
const MOST_BYTES: u64 = 1 << 30;
/// The length of a turn, after which other searches proceed.
const TURN: std::time::Duration = std::time::Duration::from_millis(100);
/// A tail that lags by more lines than this counts as a search.
const MUCH: u64 = 2000;
/// The time limit for lines that are part of another response.
const GLANCE: std::time::Duration = std::time::Duration::from_secs(1);
const GLANCE_BYTES: u64 = 32 << 20;

/// The newest lines of each of these dynos since a point in time, within the limits of a glance, charged to `payer`.
/// The point in time bounds how much of the history is read. With too many concurrent glances, a payer gets fewer
/// lines, not a delay.
pub async fn last_of(
    platform: &Platform,
    payer: AccountId,
    app: AppId,
    dynos: Vec<(String, DateTime<Utc>)>,
    lines: usize,
) -> Result<Vec<Vec<api::log_lines::LogLine>>> {
    if dynos.is_empty() {
        return Ok(Vec::new());
    }
    let taken = tokio::time::timeout(GLANCE, platform.log_readers().glances.take(payer)).await;
    let Ok(Ok(slot)) = taken else { return Ok(vec![Vec::new(); dynos.len()]) };
    let (history, budget) = (platform.history().clone(), logs::Budget::of(GLANCE, GLANCE_BYTES));
    let _gone = Gone(budget.clone());
    let look = move |(dyno, since)| {
        let filter = logs::Filter { dyno: Some(dyno), since: Some(since), ..logs::Filter::default() };
        let query = logs::Query { filter, last: Some(lines), budget: budget.clone(), ..logs::Query::default() };
        match history.read(app, &query).and_then(|mut found| found.collect_most(lines)) {
            Ok(found) => Ok(found.into_iter().map(Into::into).collect()),
            Err(logs::Error::Stopped) => Ok(Vec::new()),
            Err(err) => Err(err),
        }
    };
    read(move || {
        // Held until the work has ended, even if its caller is gone.
        let _slot = slot;
        dynos.into_iter().map(look).collect()
    })
    .await
}

/// The last lines about a dyno of a release that has ended, at most `lines`, charged to `payer`. Without those of a dyno
/// of another release that has the same name and runs beside it, unless this process has not read the output. `since`
/// is when the release was created. If the other one has written more than a glance reads, the first lines are returned.
pub async fn last_of_ended(
    platform: &Platform,
    payer: AccountId,
    app: AppId,
    (release, name): (ReleaseId, &str),
    since: DateTime<Utc>,
    lines: usize,
) -> Result<Vec<api::log_lines::LogLine>> {
    let Some(times) = platform.ingest().last_times(release, name) else {
        let found = last_of(platform, payer, app, vec![(name.to_owned(), since)], lines).await?;
        return Ok(found.into_iter().flatten().collect());
    };
    let taken = tokio::time::timeout(GLANCE, platform.log_readers().glances.take(payer)).await;
    let Ok(Ok(slot)) = taken else { return Ok(Vec::new()) };
    let (history, budget) = (platform.history().clone(), logs::Budget::of(GLANCE, GLANCE_BYTES));
    let _gone = Gone(budget.clone());
    // The other dyno may have written any number of lines since. The clock may have been set back.
    let since = times.iter().min().copied().unwrap_or(since);
    let filter = logs::Filter { dyno: Some(name.to_owned()), since: Some(since), ..logs::Filter::default() };
    read(move || {
        // Held until the work has ended, even if its caller is gone.
        let _slot = slot;
        let mut found: VecDeque<api::log_lines::LogLine> = VecDeque::new();
        let all = history.read(app, &logs::Query { filter, budget, ..logs::Query::default() })?;
        // Lines of the platform cannot be attributed, but there are few about a dyno that serves.
        for line in all.filter(|line| line.source != "app" || times.contains(&line.at)) {
            found.push_back(line.into());
            if found.len() > lines {
                found.pop_front();
            }
        }
        Ok(found.into())
    })
    .await
}

/// Takes all glances of a payer until they are dropped.
#[cfg(feature = "testing")]
pub fn take_glances(platform: &Platform, payer: AccountId) -> Vec<impl Sized + use<>> {
    let mut taken = Vec::new();
    while let Ok(slot) = platform.log_readers().glances.try_take(payer) {
        taken.push(slot);
    }
    taken
}

/// Reads no more than the lines that it returns, charged to `payer`: it does not queue behind searches.
///
/// # Errors
/// When the payer has too many such reads in progress and waiting, or the log cannot be read.
pub async fn glance<T: Send + 'static>(
    platform: &Platform,
    payer: AccountId,
    work: impl FnOnce(&logs::Budget) -> logs::Result<T> + Send + 'static,
) -> Result<T> {
    let _slot = platform.log_readers().glances.take(payer).await?;
    go_on(work).await
}

/// Runs work on the disk where it does not block others.
async fn read<T: Send + 'static>(work: impl FnOnce() -> logs::Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(anyhow::Error::new)?.map_err(refused)
}

/// The error for a log that cannot be read.
pub fn refused(err: logs::Error) -> Error {
    match err {
        logs::Error::Filter(why) => Error::invalid(why),
        err @ logs::Error::Stopped => Error::too_much(err.to_string()),
        err => Error::Internal(anyhow::Error::new(err).context("use the log")),
    }
}

/// Searches a log, charged to `payer`: in turns with others, within limits, and only while the caller waits for it.
pub async fn search<T: Send + 'static>(
    platform: &Platform,
    payer: AccountId,
    work: impl FnOnce(&logs::Budget) -> logs::Result<T> + Send + 'static,
) -> Result<T> {
    let slot = platform.log_readers().searches.take(payer).await?;
    in_turns(platform, payer, slot, work).await
}

/// Continues reading a log, for tails. A tail that has kept up reads immediately: streams have their own slots, and
/// waiting behind searches would delay everybody. A tail that is `lag` lines behind counts as a search.
pub async fn read_on<T: Send + 'static>(
    platform: &Platform,
    payer: AccountId,
    lag: u64,
    work: impl FnOnce(&logs::Budget) -> logs::Result<T> + Send + 'static,
) -> Result<T> {
    if lag <= MUCH {
        return go_on(work).await;
    }
    let slot = platform.log_readers().catching_up.take(payer).await?;
    in_turns(platform, payer, slot, work).await
}

async fn in_turns<T: Send + 'static>(
    platform: &Platform,
    payer: AccountId,
    slot: Slot,
    work: impl FnOnce(&logs::Budget) -> logs::Result<T> + Send + 'static,
) -> Result<T> {
    let (turns, runtime) = (platform.log_readers().turns.clone(), Handle::current());
    let turn = Arc::new(Mutex::new(Some(turns.take(payer).await?)));
    let own = turn.clone();
    let let_others = move || {
        *own.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let next = runtime.block_on(turns.take(payer)).ok();
        *own.lock().unwrap_or_else(PoisonError::into_inner) = next;
    };
    let budget = logs::Budget::of(LONGEST, MOST_BYTES).with_breaks(TURN, let_others);
    let _gone = Gone(budget.clone());
    read(move || {
        // Held until the work has ended, even if its caller is gone; and no longer, even if a clone of the budget is
        // still stored.
        let _slot = slot;
        let _turn = Over(turn);
        work(&budget)
    })
    .await
}

/// Releases the last turn.
struct Over(Arc<Mutex<Option<Slot>>>);

impl Drop for Over {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Reads something cheap, without a slot, but with the limits of a search.
async fn go_on<T: Send + 'static>(work: impl FnOnce(&logs::Budget) -> logs::Result<T> + Send + 'static) -> Result<T> {
    let budget = logs::Budget::of(LONGEST, MOST_BYTES);
    let _gone = Gone(budget.clone());
    read(move || work(&budget)).await
}

/// Cancels the search when the request is dropped.
struct Gone(logs::Budget);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

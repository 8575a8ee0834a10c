//! Determines the changes that bring the running dynos in line with the desired ones. Pure.
//!
//! ```text
//!             start                bound its port, or runs
//!   (nothing) ────→ starting ─────────────────────────────→ up
//!                      │ ended, or 60 s without its port     │ ended
//!                      └──────────→ crashed ←────────────────┘
//!                         ↑ start again, after a pause
//!   any of them, when no longer wanted: told to stop (SIGTERM, 30 s, SIGKILL), then removed
//! ```
//!
//! Web dynos of a new release start beside the old ones. The old ones serve until all new ones are up, and are stopped
//! only after the router has the new ones: no request is lost, and a release that does not come up does no harm. Other
//! dynos are replaced at once, since workers of different releases may be incompatible.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use api::{
    dynos::DynoState,
    ids::{AccountId, AppId, DynoId, ReleaseId},
};
use chrono::{DateTime, Duration, Utc};
use store::dynos::Row;

/// The time between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::seconds(30);
/// The time limit for a web process to bind its port.
pub(super) const BOOT: Duration = Duration::seconds(60);
/// After running this long, a dyno counts as stable: its next crash is its first.
const SETTLED: Duration = Duration::minutes(10);

/// A process type of an app that should run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Type {
    pub kind: String,
    pub command: String,
    pub quantity: i32,
    pub size: String,
}

/// The desired dynos of an app.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct App {
    pub id: AppId,
    pub release: ReleaseId,
    pub version: i32,
    pub types: Vec<Type>,
}

/// A single change.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Create a dyno and start it.
    Create { app: AppId, kind: String, ordinal: i32 },
    /// Restart a crashed dyno.
    Restart { dyno: DynoId },
    /// Begin to stop a dyno.
    Stop { dyno: DynoId, reason: StopReason },
    /// Kill a dyno that did not stop in time.
    Kill { dyno: DynoId },
}

/// Why a dyno is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopReason {
    /// A user requested it.
    Requested,
    /// The app is being destroyed, or has no release with code.
    Unwanted,
    /// The release has no such process type.
    NoSuchType,
    /// The formation was scaled down.
    ScaledDown,
    /// Its successors are up, or it does not serve.
    Replaced,
}

impl StopReason {
    /// Whether the router may send requests to such a dyno until it has a table without it.
    pub(super) fn may_serve(self) -> bool {
        matches!(self, Self::ScaledDown | Self::Replaced)
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "requested",
            Self::Unwanted => "not desired",
            Self::NoSuchType => "process type is gone",
            Self::ScaledDown => "scaled down",
            Self::Replaced => "replaced",
        })
    }
}

/// The pause before start number `crashes + 1`: 1 s, doubling to 5 min.
pub(super) fn pause(crashes: i32) -> Duration {
    let doublings = u32::try_from(crashes.saturating_sub(1)).unwrap_or(0).min(16);
    Duration::seconds(1_i64 << doublings).min(Duration::minutes(5))
}

/// The number of consecutive crashes, including this one.
pub(super) fn crashes_after(row: &Row, now: DateTime<Utc>) -> i32 {
    let settled = row.state == DynoState::Up && row.started_at.is_some_and(|at| now - at > SETTLED);
    if settled { 1 } else { row.crashes.saturating_add(1) }
}

/// All changes for one app. `wanted` is `None` for an app that is being destroyed or has no release with code.
pub(super) fn plan(wanted: Option<&App>, rows: &[Row], now: DateTime<Utc>) -> Vec<Step> {
    let mut steps = Vec::new();
    for row in rows.iter().filter(|r| r.stopping_at.is_some()) {
        let overdue = row.stopping_at.is_some_and(|at| now - at >= GRACE);
        if overdue && row.killed_at.is_none() {
            steps.push(Step::Kill { dyno: row.id });
        } else if !row.state.has_ended() {
            // A user requested it, and the process has not been signalled yet.
            steps.push(Step::Stop { dyno: row.id, reason: StopReason::Requested });
        }
    }
    let live: Vec<&Row> = rows.iter().filter(|r| r.stopping_at.is_none()).collect();
    let Some(app) = wanted else {
        steps.extend(live.iter().map(|r| Step::Stop { dyno: r.id, reason: StopReason::Unwanted }));
        return steps;
    };
    let kinds: BTreeSet<&str> = app.types.iter().map(|t| t.kind.as_str()).collect();
    for row in live.iter().filter(|r| !kinds.contains(r.kind.as_str())) {
        steps.push(Step::Stop { dyno: row.id, reason: StopReason::NoSuchType });
    }
    for kind in &app.types {
        let live: Vec<&Row> = live.iter().copied().filter(|r| r.kind == kind.kind).collect();
        plan_type(app, kind, &live, now, &mut steps);
    }
    steps
}

/// Selects the steps of one run: at most `most` in total and `most_of_one` per payer. Payers take turns, and so do the
/// apps of each. `last` is the payer who had the first turn last in the previous run: the next turn is that of the
/// following payer, so that everybody has one before anybody has two, even if there are more payers than steps.
pub(super) fn turns<T>(
    steps: Vec<(AccountId, AppId, T)>,
    last: Option<AccountId>,
    most: usize,
    most_of_one: usize,
) -> (Vec<T>, Option<AccountId>) {
    let mut of_app: HashMap<AppId, usize> = HashMap::new();
    let mut of_payer: BTreeMap<AccountId, Vec<(usize, T)>> = BTreeMap::new();
    for (payer, app, step) in steps {
        let turn = of_app.entry(app).or_default();
        of_payer.entry(payer).or_default().push((*turn, step));
        *turn += 1;
    }
    let mut all = Vec::new();
    for (payer, mut steps) in of_payer {
        // Stable: the steps of an app keep their order.
        steps.sort_by_key(|(turn, _)| *turn);
        let is_early = last.is_some_and(|last| payer <= last);
        let steps = steps.into_iter().take(most_of_one).enumerate();
        all.extend(steps.map(|(turn, (_, step))| (turn, is_early, payer, step)));
    }
    all.sort_by_key(|(turn, is_early, payer, _)| (*turn, *is_early, *payer));
    all.truncate(most);
    let last = all.iter().rfind(|(turn, ..)| *turn == 0).map(|(_, _, payer, _)| *payer).or(last);
    (all.into_iter().map(|(.., step)| step).collect(), last)
}

/// When to check these dynos again if no change is published: immediately while one starts or stops, or when the next
/// crashed one is due to start.
pub(super) fn due<'a>(rows: impl Iterator<Item = &'a Row>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let due = rows.filter_map(|row| match row.state == DynoState::Starting || row.stopping_at.is_some() {
        true => Some(now),
        // One that is overdue waits for something else.
        false => row.next_start_at.filter(|at| *at > now),
    });
    due.min()
}

/// Whether a dyno matches the newest release and the desired size.
pub(super) fn is_current(app: &App, kind: &Type, row: &Row) -> bool {
    row.release_id == app.release && row.size == kind.size && row.retiring_at.is_none()
}

fn plan_type(app: &App, kind: &Type, live: &[&Row], now: DateTime<Utc>, steps: &mut Vec<Step>) {
    let (current, old): (Vec<&Row>, Vec<&Row>) = live.iter().partition(|r| is_current(app, kind, r));
    let mut kept: Vec<&Row> = Vec::new();
    for row in &current {
        let doubled = kept.iter().any(|k| k.ordinal == row.ordinal);
        if row.ordinal > kind.quantity || doubled {
            steps.push(Step::Stop { dyno: row.id, reason: StopReason::ScaledDown });
        } else {
            kept.push(row);
        }
    }
    let all_up = i32::try_from(kept.iter().filter(|r| r.state == DynoState::Up).count()) == Ok(kind.quantity);
    for row in &old {
        // A crashed dyno does not serve. The other `web` dynos serve until their successors do.
        let serves = kind.kind == "web" && kind.quantity > 0 && row.state != DynoState::Crashed;
        if !serves || all_up {
            steps.push(Step::Stop { dyno: row.id, reason: StopReason::Replaced });
        }
    }
    for row in kept.iter().filter(|r| r.state == DynoState::Crashed) {
        if row.next_start_at.is_none_or(|at| at <= now) {
            steps.push(Step::Restart { dyno: row.id });
        }
    }
    for ordinal in (1..=kind.quantity).filter(|n| kept.iter().all(|r| r.ordinal != *n)) {
        steps.push(Step::Create { app: app.id, kind: kind.kind.clone(), ordinal });
    }
}

/// The web dynos that should get requests: those of the newest release when all of them are up, before that the old
/// ones, and without either, any that are up.
pub(super) fn serving<'a>(app: &App, rows: &'a [Row]) -> Vec<&'a Row> {
    let Some(kind) = app.types.iter().find(|t| t.kind == "web") else { return Vec::new() };
    let up: Vec<&Row> = rows
        .iter()
        .filter(|r| r.kind == "web" && r.state == DynoState::Up && r.stopping_at.is_none() && r.addr.is_some())
        .collect();
    let (current, old): (Vec<&Row>, Vec<&Row>) = up.into_iter().partition(|r| is_current(app, kind, r));
    let all_up = i32::try_from(current.len()).is_ok_and(|n| n >= kind.quantity);
    if kind.quantity == 0 {
        return Vec::new();
    }
    if all_up || old.is_empty() { current } else { old }
}

#[cfg(test)]
mod tests;

//! Determines the changes that bring the running dynos in line with the desired ones. Pure.
//!
//! ```text
//!             start                bound its port, or runs
//!   (nothing) ────→ starting ─────────────────────────────→ up
//!                      │ ended, or 60 s without its port     │ ended
//!                      └──────────→ crashed ←────────────────┘
//!                         ↑ start again, after a pause
//!   any of them, when no longer wanted: out of the routes; SIGTERM when its requests have ended, after 30 s at the
//!   latest; SIGKILL 30 s later; removed
//! ```
//!
//! Web dynos of a new release start beside the old ones. The old ones serve until all new ones are up, and get SIGTERM
//! only when the router has a table without them and their requests in progress have ended. So no request is lost, even
//! if a process exits immediately on SIGTERM, and a release that does not come up does no harm. However long the
//! requests took, a process has all of Heroku's 30 seconds to shut down after SIGTERM. Other dynos are replaced
//! immediately, since workers of different releases may be incompatible.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    net::SocketAddr,
};

use api::{
    dynos::DynoState,
    ids::{AccountId, AppId, DynoId, ReleaseId},
};
use chrono::{DateTime, Duration, Utc};
use store::dynos::Row;

/// The time between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::seconds(30);
/// How long requests in progress, or a router that does not respond, can delay SIGTERM. The same as the time limit for
/// the first byte of a response; streams are cut off.
pub(super) const DRAIN: Duration = Duration::seconds(30);
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
    /// Begin to stop a dyno: it gets no more requests.
    Stop { dyno: DynoId, reason: StopReason },
    /// Send SIGTERM to a dyno that is being stopped, when it [may](may_terminate) be.
    Terminate { dyno: DynoId },
    /// Kill a dyno that did not stop in time.
    Kill { dyno: DynoId },
}

/// Why a dyno is stopped, if not because a user requested it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopReason {
    /// The app is being destroyed, or has no release with code.
    Unwanted,
    /// The release has no such process type.
    NoSuchType,
    /// The formation was scaled down.
    ScaledDown,
    /// Its successors are up, or it does not serve.
    Replaced,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
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
        if !row.state.has_ended() {
            steps.push(Step::Terminate { dyno: row.id });
        } else if overdue && row.killed_at.is_none() {
            steps.push(Step::Kill { dyno: row.id });
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
/// following payer, so that everyone gets one turn before anyone gets two, even if there are more payers than steps.
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

/// The address to which the router may send requests for a dyno, or where it has requests in progress: only these were
/// ever in its table.
pub(super) fn routed_at(row: &Row) -> Option<SocketAddr> {
    let is_routed = row.kind == "web" && row.state == DynoState::Up;
    row.addr.as_deref().filter(|_| is_routed)?.parse().ok()
}

/// Whether a dyno that is being stopped may get SIGTERM: when the router has a table without it and no request of it in
/// progress, or too much time has passed. `busy` are the dynos with requests in progress; `None` if the router does not
/// respond.
pub(super) fn may_terminate(row: &Row, busy: Option<&[SocketAddr]>, now: DateTime<Utc>) -> bool {
    let Some(addr) = routed_at(row) else { return true };
    let is_late = row.stopping_at.is_none_or(|at| now - at >= DRAIN);
    is_late || busy.is_some_and(|busy| !busy.contains(&addr))
}

/// When to check these dynos again if nothing happens: no change is published, no process ends or accepts its first
/// connection, no request ends.
pub(super) fn due<'a>(rows: impl Iterator<Item = &'a Row>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    rows.filter_map(|row| due_for(row, now)).min()
}

fn due_for(row: &Row, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let at = match (row.state, row.stopping_at) {
        // The next check removes it.
        (DynoState::Crashed, Some(_)) => return Some(now),
        (DynoState::Down, Some(at)) => at + GRACE,
        (_, Some(at)) => at + DRAIN,
        (DynoState::Starting, None) if row.kind == "web" => row.started_at? + BOOT,
        // The next check detects that it is up.
        (DynoState::Starting, None) => return Some(now),
        (_, None) => row.next_start_at?,
    };
    // An overdue one waits for something else.
    (at > now).then_some(at)
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
/// ones, and without either, any that are up. Dynos that are replaced within a release, such as by a restart, serve with
/// the others.
pub(super) fn serving<'a>(app: &App, rows: &'a [Row]) -> Vec<&'a Row> {
    let quantity = app.types.iter().find(|t| t.kind == "web").map_or(0, |t| t.quantity);
    if quantity == 0 {
        return Vec::new();
    }
    let is_up = |row: &&Row| row.stopping_at.is_none() && row.addr.is_some() && row.state == DynoState::Up;
    let up = rows.iter().filter(|row| row.kind == "web").filter(is_up);
    let (new, old): (Vec<&Row>, Vec<&Row>) = up.partition(|row| row.release_id == app.release);
    let places: BTreeSet<i32> = new.iter().map(|row| row.ordinal).collect();
    let all_up = i32::try_from(places.len()).is_ok_and(|n| n >= quantity);
    if all_up || old.is_empty() { new } else { old }
}

#[cfg(test)]
mod tests;

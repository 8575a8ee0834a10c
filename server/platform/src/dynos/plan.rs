//! Determines the changes that bring the running dynos in line with the desired ones. Pure.
//!
//! ```text
//!             start                bound its port, or runs
//!   (nothing) ────→ starting ─────────────────────────────→ up
//!                      │ ended, or 60 s without its port     │ ended
//!                      └──────────→ crashed ←────────────────┘
//!                         ↑ start again, after a pause
//!   any of them, when no longer wanted: out of the routes; SIGTERM when its requests have ended, 30 s later at the
//!   latest; SIGKILL after another 30 s; removed
//! ```
//!
//! Web dynos of a new release start beside the old ones. The old ones serve until all new ones are up, and get SIGTERM
//! only when the new ones have stayed up for the watch period ([`rollout`](super::rollout)), the router has a table
//! without them and their requests in progress have ended. So no request is lost, even if a process exits at once on
//! SIGTERM, and a release that does not stay up does no harm. However long the requests took, a process has all of
//! Heroku's 30 seconds to shut down after SIGTERM. Until then, all other dynos are those of the old release; then they
//! are replaced at once, since workers of different releases may be incompatible.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    net::SocketAddr,
};

use api::{
    dynos::DynoState,
    ids::{AccountId, AppId, DynoId, ReleaseId},
    releases::Rollout,
};
use chrono::{DateTime, Duration, Utc};
use store::dynos::Row;

/// The time between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::seconds(30);
/// How long requests in progress can delay SIGTERM, once the router has a table without the dyno. As long as a request
/// may take to its first byte; streams are cut.
pub(super) const DRAIN: Duration = Duration::seconds(30);
/// How long a router that accepts no table without the dyno can delay SIGTERM: it may send it requests, and have no
/// other dyno to send them to.
pub(super) const UNREACHABLE: Duration = Duration::minutes(10);
/// The time limit for a web process to bind its port.
pub(super) const BOOT: Duration = Duration::seconds(60);
/// The time limit for a release to have all its web dynos up, without any progress. What delays them so long is not the
/// app: the machine has no room, or its slug cannot be unpacked.
const COME_UP: Duration = Duration::minutes(15);
/// After running this long, a dyno counts as stable: its next crash is its first.
const SETTLED: Duration = Duration::minutes(10);

/// How a process has ended that the driver does not know: its files were removed, or the server was killed before it
/// started it.
pub(super) const GONE: &str = "The process is gone: its files were removed or the machine was restarted";

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
    /// Until its release has passed. Only its web dynos run.
    pub trial: Option<Trial>,
}

/// The rollout of a release that has not passed yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trial {
    pub rollout: Rollout,
    /// The watch period.
    pub watch: Duration,
    /// While its web dynos are not up: when it became the current one, or when there was a supervisor to start them.
    pub since: DateTime<Utc>,
    /// The app with the release before, which runs until this one has passed.
    pub base: Option<Box<App>>,
}

/// A single change.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Create a dyno and start it.
    Create { release: ReleaseId, kind: String, ordinal: i32 },
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
    match &app.trial {
        None => plan_types(app, &app.types, &live, now, &mut steps),
        Some(Trial { base: None, .. }) => plan_types(app, app.web(), &live, now, &mut steps),
        // Two releases at once, each with its own dynos.
        Some(Trial { base: Some(base), .. }) => {
            let (new, others): (Vec<&Row>, Vec<&Row>) = live.into_iter().partition(|r| r.release_id == app.release);
            let (old, rest): (Vec<&Row>, Vec<&Row>) = others.into_iter().partition(|r| r.release_id == base.release);
            // Of a release between the two. Its web dynos serve until others do.
            let is_served = is_all_up(base, &old) || is_all_up(app, &new);
            let kept = predecessors(&rest, app.web_quantity().max(base.web_quantity()));
            let rest = rest.into_iter().filter(|r| is_served || !kept.contains(&r.id));
            steps.extend(rest.map(|r| Step::Stop { dyno: r.id, reason: StopReason::Replaced }));
            plan_types(base, &base.types, &old, now, &mut steps);
            plan_types(app, app.web(), &new, now, &mut steps);
        }
    }
    steps
}

/// Whether an app has web dynos, and all of them are up; `live` are dynos of its release.
fn is_all_up(app: &App, live: &[&Row]) -> bool {
    let up = live.iter().filter(|r| r.kind == "web" && r.state == DynoState::Up);
    let places: BTreeSet<i32> = up.map(|r| r.ordinal).collect();
    let quantity = app.web_quantity();
    quantity > 0 && i32::try_from(places.len()).is_ok_and(|n| n >= quantity)
}

impl App {
    /// The process types that can run until the release has passed.
    fn web(&self) -> &[Type] {
        let at = self.types.iter().position(|t| t.kind == "web");
        at.and_then(|at| self.types.get(at..=at)).unwrap_or_default()
    }

    /// This app, or that with the release before, if it is the one with this release.
    pub fn with_release(&self, release: ReleaseId) -> Option<&Self> {
        let base = || self.trial.as_ref().and_then(|trial| trial.base.as_deref());
        if self.release == release { Some(self) } else { base().filter(|base| base.release == release) }
    }

    /// How many web dynos it should have.
    pub fn web_quantity(&self) -> i32 {
        self.web().first().map_or(0, |web| web.quantity)
    }
}

/// All changes for the dynos of one release, and for those that it is to replace.
fn plan_types(app: &App, types: &[Type], live: &[&Row], now: DateTime<Utc>, steps: &mut Vec<Step>) {
    let kinds: BTreeSet<&str> = types.iter().map(|t| t.kind.as_str()).collect();
    for row in live.iter().filter(|r| !kinds.contains(r.kind.as_str())) {
        steps.push(Step::Stop { dyno: row.id, reason: StopReason::NoSuchType });
    }
    for kind in types {
        let live: Vec<&Row> = live.iter().copied().filter(|r| r.kind == kind.kind).collect();
        plan_type(app, kind, &live, now, steps);
    }
}

/// What has become of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its web dynos are up: the watch period begins.
    Up,
    /// They have stayed up, or there are none.
    Passed,
    /// One of them has crashed.
    Failed { dyno: String, why: String },
}

/// Whether something new is known about the rollout of the app's release. One that has failed can only pass.
pub(super) fn verdict(app: &App, rows: &[Row], now: DateTime<Utc>) -> Option<Verdict> {
    let trial = app.trial.as_ref()?;
    if app.web_quantity() == 0 {
        return Some(Verdict::Passed);
    }
    let crashed = web_of(app, rows).find(|row| row.state == DynoState::Crashed && !is_lost(row));
    if let Some(row) = crashed.filter(|_| trial.rollout.is_open()) {
        let why = row.last_exit.clone().unwrap_or_else(|| "it crashed".to_owned());
        return Some(Verdict::Failed { dyno: row.name.clone(), why });
    }
    let Some(ends) = watch_ends(app, rows) else {
        // Since anything happened to them: some may have been added while the others were watched.
        let changed = web_of(app, rows).map(|row| row.updated_at).max();
        let since = changed.map_or(trial.since, |at| at.max(trial.since));
        let is_late = trial.rollout.is_open() && now - since >= COME_UP;
        let why = || format!("not all web dynos were up after {} minutes", COME_UP.num_minutes());
        return is_late.then(|| Verdict::Failed { dyno: "web".to_owned(), why: why() });
    };
    match trial.rollout {
        _ if ends <= now => Some(Verdict::Passed),
        Rollout::Waiting => Some(Verdict::Up),
        _ => None,
    }
}

/// Whether a dyno has ended through no fault of its own, and is started again. It happens once, unless there is more to
/// it.
fn is_lost(row: &Row) -> bool {
    row.crashes <= 1 && row.last_exit.as_deref().is_some_and(|exit| [GONE, dyno::LOST].contains(&exit))
}

/// When the release will have been up for its watch period; `None` while its web dynos are not up, or if there is nothing
/// to watch.
pub(super) fn watch_ends(app: &App, rows: &[Row]) -> Option<DateTime<Utc>> {
    let trial = app.trial.as_ref()?;
    let up: Vec<&Row> = web_of(app, rows).filter(|row| row.state == DynoState::Up).collect();
    let places: BTreeSet<i32> = up.iter().map(|row| row.ordinal).collect();
    let all_up = i32::try_from(places.len()).is_ok_and(|n| n >= app.web_quantity());
    // For one that is up, this is when it came up.
    let since = up.iter().map(|row| row.updated_at).max()?;
    all_up.then(|| since + trial.watch)
}

/// The web dynos of the app's release.
fn web_of<'a>(app: &App, rows: &'a [Row]) -> impl Iterator<Item = &'a Row> {
    let release = app.release;
    rows.iter().filter(move |r| r.kind == "web" && r.release_id == release && r.stopping_at.is_none())
}

/// The releases of which a web dyno is up, or any dyno, if they have no web dynos.
pub(super) fn up_releases<'a>(rows: impl Iterator<Item = &'a Row>) -> BTreeSet<ReleaseId> {
    let mut up: BTreeMap<ReleaseId, (bool, bool)> = BTreeMap::new();
    for row in rows.filter(|row| row.stopping_at.is_none()) {
        let (has_web, is_up) = up.entry(row.release_id).or_default();
        let is_web = row.kind == "web";
        if is_web && !*has_web {
            (*has_web, *is_up) = (true, false);
        }
        *is_up |= row.state == DynoState::Up && is_web == *has_web;
    }
    up.into_iter().filter(|(_, (_, is_up))| *is_up).map(|(release, _)| release).collect()
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
/// respond. `removed_after` is how long the router took to accept a table without the dyno; `None` if it has not yet.
pub(super) fn may_terminate(
    row: &Row,
    busy: Option<&[SocketAddr]>,
    removed_after: Option<Duration>,
    now: DateTime<Utc>,
) -> bool {
    let Some(addr) = routed_at(row) else { return true };
    let limit = removed_after.map_or(UNREACHABLE, |after| after + DRAIN);
    let is_late = row.stopping_at.is_none_or(|at| now - at >= limit);
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

/// Those of these dynos that serve until others do: web dynos that have not crashed, and not more than the formation has,
/// or restarts and releases that do not come up would add up. Those that are up come first, then the newest.
fn predecessors(rows: &[&Row], quantity: i32) -> BTreeSet<DynoId> {
    let mut web: Vec<&&Row> = rows.iter().filter(|r| r.kind == "web" && r.state != DynoState::Crashed).collect();
    web.sort_by_key(|r| (r.state != DynoState::Up, Reverse(r.created_at)));
    web.into_iter().take(usize::try_from(quantity).unwrap_or(0)).map(|r| r.id).collect()
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
    let up = i32::try_from(kept.iter().filter(|r| r.state == DynoState::Up).count()).unwrap_or(i32::MAX);
    let all_up = up == kind.quantity;
    // Of a newer release that did not stay up, none once others are up. The other web dynos serve until their successors
    // do.
    let may_serve: Vec<&Row> = old.iter().copied().filter(|row| !(row.version > app.version && up > 0)).collect();
    let serving = predecessors(&may_serve, kind.quantity);
    for row in &old {
        if all_up || !serving.contains(&row.id) {
            steps.push(Step::Stop { dyno: row.id, reason: StopReason::Replaced });
        }
    }
    for row in kept.iter().filter(|r| r.state == DynoState::Crashed) {
        if row.next_start_at.is_none_or(|at| at <= now) {
            steps.push(Step::Restart { dyno: row.id });
        }
    }
    for ordinal in (1..=kind.quantity).filter(|n| kept.iter().all(|r| r.ordinal != *n)) {
        steps.push(Step::Create { release: app.release, kind: kind.kind.clone(), ordinal });
    }
}

/// The web dynos that should get requests: those of the newest release when all of them are up, before that the old
/// ones, and without either, any that are up. Dynos that are replaced within a release, such as by a restart, serve with
/// the others.
pub(super) fn serving<'a>(app: &App, rows: &'a [Row]) -> Vec<&'a Row> {
    let quantity = app.web_quantity();
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

/// The web dynos that get a request if those of the newest release refuse the connection: those of the release before,
/// while the newest one is watched.
pub(super) fn standby<'a>(app: &App, rows: &'a [Row]) -> Vec<&'a Row> {
    let Some(base) = app.trial.as_ref().and_then(|trial| trial.base.as_deref()) else { return Vec::new() };
    if serving(app, rows).iter().all(|row| row.release_id != app.release) {
        return Vec::new();
    }
    web_of(base, rows).filter(|row| row.addr.is_some() && row.state == DynoState::Up).collect()
}

#[cfg(test)]
mod tests;

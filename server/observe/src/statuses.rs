//! Statuses: summaries of apps, for the console.

mod parts;

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{Result, pages};
use chrono::Utc;
use identity::{Actor, Can};
use monitor::LastHour;
use platform::{Platform, dynos as dyno_rules, log_lines};
use store::{
    apps, builds, dynos, formation,
    pages::{Page, Range},
    releases,
};

pub(crate) use self::parts::{Part, Parts};
use crate::metrics;
use api::{
    dynos::DynoState,
    ids::{AccountId, AppId},
    releases::ReleaseStatus,
    statuses::{AppStatus, AppSummary, Condition, HeldRelease, ReleaseSummary},
};

/// The number of crashed dynos for which the last lines of output are shown.
const MOST_CRASHED: usize = 3;
/// The number of lines shown per crashed dyno.
const LAST_LINES: usize = 6;
/// The maximum age of these lines at the time of the crash.
const BEFORE_THE_CRASH: chrono::Duration = chrono::Duration::minutes(1);

/// The data of one app.
struct Known<'a> {
    app: &'a apps::Row,
    formation: &'a [formation::Row],
    /// The dynos as shown to users.
    dynos: Vec<dynos::Row>,
    held: Option<HeldRelease>,
    /// Version and status of the newest release.
    newest: Option<(i32, ReleaseStatus)>,
    build: Option<&'a builds::Pending>,
}

/// Whether a dyno has crashed and has not been up since: between attempts it is starting.
fn fails(row: &dynos::Row) -> bool {
    row.state == DynoState::Crashed || row.state == DynoState::Starting && row.crashes > 0
}

/// The newest release of an app, as far as it matters whether it is held.
struct Newest<'a> {
    version: i32,
    status: ReleaseStatus,
    failed_dyno: Option<&'a str>,
    error: Option<&'a str>,
}

impl<'a> Newest<'a> {
    fn of(row: &'a releases::Row) -> Self {
        let (failed_dyno, error) = (row.failed_dyno.as_deref(), row.error.as_deref());
        Self { version: row.version, status: row.status, failed_dyno, error }
    }

    fn of_summary(row: &'a releases::Summary) -> Self {
        let (failed_dyno, error) = (row.failed_dyno.as_deref(), row.error.as_deref());
        Self { version: row.version, status: row.status, failed_dyno, error }
    }
}

/// The newest release, if it has failed because a dyno did not stay up, and an older release serves. `all` are all dynos.
fn held(all: &[dynos::Row], newest: &Newest<'_>) -> Option<HeldRelease> {
    let dyno = newest.failed_dyno.filter(|_| newest.status == ReleaseStatus::Failed)?;
    let serves = |row: &&dynos::Row| {
        row.stopping_at.is_none() && row.state == DynoState::Up && row.kind == "web" && row.version < newest.version
    };
    Some(HeldRelease {
        version: newest.version,
        serving: all.iter().filter(serves).map(|row| row.version).max()?,
        dyno: dyno.to_owned(),
        last_exit: newest.error.map(String::from),
        next_start_at: None,
    })
}

impl Known<'_> {
    fn wanted(&self) -> i32 {
        self.formation.iter().filter(|f| f.kind != "release").map(|f| f.quantity).sum()
    }

    fn up(&self) -> i32 {
        i32::try_from(self.dynos.iter().filter(|d| d.state == DynoState::Up).count()).unwrap_or(i32::MAX)
    }

    fn condition(&self) -> Condition {
        let serves = self.dynos.iter().any(|d| d.kind == "web" && d.state == DynoState::Up);
        let wants_web = self.formation.iter().any(|f| f.kind == "web" && f.quantity > 0);
        let crashed = self.dynos.iter().any(fails);
        let changing = self.build.is_some()
            || self.dynos.iter().any(|d| d.state == DynoState::Starting)
            || self.newest.is_some_and(|(_, status)| status.is_pending());
        if self.app.maintenance {
            return Condition::Maintenance;
        }
        match () {
            () if wants_web && crashed && !serves => Condition::Crashed,
            () if crashed => Condition::Degraded,
            () if self.held.is_some() => Condition::Held,
            () if changing => Condition::Changing,
            () if self.app.slug_size.is_none() => Condition::Empty,
            () if self.wanted() == 0 => Condition::Off,
            () if self.up() < self.wanted() => Condition::Changing,
            () => Condition::Up,
        }
    }

    fn detail(&self) -> String {
        if let Some(build) = self.build {
            return match build.started_at {
                Some(_) => format!("Build {} is running", build.number),
                None => format!("Build {} is waiting in the queue", build.number),
            };
        }
        if let Some(dyno) = self.dynos.iter().find(|d| fails(d)) {
            let why = dyno.last_exit.as_deref().unwrap_or("crashed");
            return format!("{}: {why}", dyno.name);
        }
        if let Some(held) = &self.held {
            let why = held.last_exit.as_deref().unwrap_or("crashed");
            return format!("v{} does not start ({}: {why}); v{} keeps serving", held.version, held.dyno, held.serving);
        }
        if let Some((version, _)) = self.newest.filter(|(_, status)| status.is_pending()) {
            return format!("The release phase of v{version} is running");
        }
        if let Some(dyno) = self.dynos.iter().find(|d| d.state == DynoState::Starting) {
            return format!("{} is starting", dyno.name);
        }
        match self.condition() {
            Condition::Empty => "Nothing deployed yet".into(),
            Condition::Off => "Scaled to zero".into(),
            Condition::Maintenance => "Visitors see the maintenance page".into(),
            _ => match self.up() {
                1 => "1 dyno up".into(),
                n => format!("{n} dynos up"),
            },
        }
    }
}

/// `GET /app-statuses`
pub async fn app_summary_list(State(platform): State<Platform>, actor: Actor, headers: HeaderMap) -> Result<Response> {
    let range = pages::requested(&headers, &apps::LIST)?;
    let page = summaries(&platform, &actor, None, &range).await?;
    Ok(pages::respond(&apps::LIST, &range, page))
}

/// Summaries of the apps that are visible to the caller, or of `those` among them, with a fixed number of queries.
pub(crate) async fn summaries(
    platform: &Platform,
    actor: &Actor,
    those: Option<&[AppId]>,
    range: &Range,
) -> Result<Page<AppSummary>> {
    let db = platform.db();
    let page = actor.apps(&apps::Filter { ids: those, ..apps::Filter::default() }, range).await?;
    let ids: Vec<AppId> = page.rows.iter().map(|app| app.id).collect();
    let mut formation = by_app(formation::formation_of(db, &ids).await?, |row| row.app_id);
    let mut dynos = by_app(dynos::dyno_of(db, &ids).await?, |row| row.app_id);
    let newest = by_app(releases::release_newest_of(db, &ids).await?, |row| row.app_id);
    let pending = by_app(builds::build_pending(db, &ids).await?, |row| row.app_id);
    let mut traffic = metrics::traffic(platform, ids, Utc::now()).await?;
    Ok(page.map(|app| {
        let of_app = dynos.remove(&app.id).unwrap_or_default();
        let newest = newest.get(&app.id).and_then(|rows| rows.first());
        let formation = formation.remove(&app.id).unwrap_or_default();
        let known = Known {
            app: &app,
            held: newest.and_then(|newest| held(&of_app, &Newest::of_summary(newest))),
            formation: &formation,
            dynos: dyno_rules::visible(of_app),
            newest: newest.map(|release| (release.version, release.status)),
            build: pending.get(&app.id).and_then(|rows| rows.first()),
        };
        summarised(platform, &known, newest, traffic.remove(&app.id).unwrap_or_default())
    }))
}

fn by_app<T>(rows: Vec<T>, app: impl Fn(&T) -> AppId) -> HashMap<AppId, Vec<T>> {
    rows.into_iter().fold(HashMap::new(), |mut all, row| {
        all.entry(app(&row)).or_insert_with(Vec::new).push(row);
        all
    })
}

fn summarised(
    platform: &Platform,
    known: &Known<'_>,
    newest: Option<&releases::Summary>,
    traffic: LastHour,
) -> AppSummary {
    AppSummary {
        id: known.app.id,
        name: known.app.name.clone(),
        condition: known.condition(),
        detail: known.detail(),
        web_url: platform.config().app_url(&known.app.name),
        dynos_up: known.up(),
        dynos_wanted: known.wanted(),
        release: newest.map(|r| ReleaseSummary {
            version: r.version,
            description: r.description.clone(),
            message: r.message.clone(),
            status: r.status,
            user: r.email.clone(),
            created_at: r.created_at,
        }),
        build: known.build.map(|b| b.id),
        traffic: traffic.requests,
        failed: traffic.failed,
        p95_ms: traffic.p95_ms,
        owner: known.app.team.clone().or_else(|| known.app.owner_email.clone()).unwrap_or_default(),
        created_at: known.app.created_at,
    }
}

/// `GET /apps/{app}/status`
pub async fn app_status(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
) -> Result<Json<AppStatus>> {
    let app = actor.app(&app, Can::View).await?;
    Ok(Json(parts::status(&platform, &actor, &app).await?))
}

/// Adds the last output of the first crashed dynos. The status is useful without it.
async fn say_last(platform: &Platform, payer: AccountId, app: AppId, dynos: &mut [api::dynos::Dyno]) {
    let mut crashed: Vec<_> = dynos.iter_mut().filter(|d| d.state == DynoState::Crashed).take(MOST_CRASHED).collect();
    let since = crashed.iter().map(|dyno| (dyno.name.clone(), dyno.updated_at - BEFORE_THE_CRASH)).collect();
    match log_lines::last_of(platform, payer, app, since, LAST_LINES).await {
        Ok(said) => crashed.iter_mut().zip(said).for_each(|(dyno, lines)| dyno.last_lines = lines),
        Err(err) => tracing::error!(app.id = %app, "could not read the last output of a dyno: {err}"),
    }
}

#[cfg(test)]
mod tests {
    use api::ids::{DynoId, ReleaseId, RunId};

    use super::*;

    fn dyno(version: i32, state: DynoState) -> dynos::Row {
        let now = Utc::now();
        dynos::Row {
            id: DynoId::now_v7(),
            app_id: AppId::nil(),
            name: "web.1".into(),
            kind: "web".into(),
            ordinal: 1,
            size: "Basic".into(),
            command: "run".into(),
            release_id: ReleaseId::nil(),
            version,
            state,
            run_id: RunId::nil(),
            addr: None,
            started_at: None,
            retiring_at: None,
            stopping_at: None,
            killed_at: None,
            starts: 1,
            crashes: i32::from(state == DynoState::Crashed),
            next_start_at: (state == DynoState::Crashed).then_some(now),
            last_exit: None,
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn a_release_that_failed_is_held_while_an_older_one_serves() {
        let failed = Newest {
            version: 6,
            status: ReleaseStatus::Failed,
            failed_dyno: Some("web.1"),
            error: Some("Process exited with status 7"),
        };
        let rows = [dyno(4, DynoState::Up), dyno(5, DynoState::Starting)];
        let found = held(&rows, &failed).expect("v6 is held");
        assert_eq!((found.version, found.serving, found.dyno.as_str()), (6, 4, "web.1"));
        assert_eq!(found.last_exit.as_deref(), Some("Process exited with status 7"));
        assert_eq!(held(&rows[1..], &failed), None, "nothing serves");
        // One whose release phase has failed never had dynos, and one that is current is not held.
        assert_eq!(held(&rows, &Newest { failed_dyno: None, ..failed }), None);
        let current = Newest { status: ReleaseStatus::Succeeded, failed_dyno: Some("web.1"), version: 6, error: None };
        assert_eq!(held(&rows, &current), None);
    }
}

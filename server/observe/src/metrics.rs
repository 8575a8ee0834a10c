//! Metrics: samples of the router and of the dynos' cgroups every ten seconds, and charts of them.

use std::{collections::BTreeMap, time::Duration};

use api::{
    dynos::{DynoState, DynoUsage},
    ids::{AccountId, AppId, RunId},
    metrics::MetricEvent,
};
use axum::{
    Json,
    extract::{Path, State},
};
use base::{Error, Result, dyno_sizes, web::Search};
use chrono::{DateTime, Utc};
use identity::{Actor, Can};
use monitor::{LastHour, ProcessSample, Sample};
use platform::{Platform, log_lines};
use router::{AppCounters, Counters};
use store::{apps, dynos, one_offs};

const EVERY: i64 = 10;
/// The maximum number of audit events that are considered for a chart.
const MOST_CHANGES: i64 = 500;
/// 9999-12-31T23:59:59Z.
const END_OF_DATES: i64 = 253_402_300_799;
/// How often a dyno above its memory quota is reported.
const OVER_EVERY: chrono::Duration = chrono::Duration::seconds(20);

/// Samples until it is dropped.
pub(crate) async fn sample(platform: Platform) {
    let mut sampler = Sampler::default();
    loop {
        // At multiples of ten seconds, so that samples match the intervals that they are stored under.
        let past = Utc::now().timestamp_millis().rem_euclid(EVERY * 1000);
        tokio::time::sleep(Duration::from_millis((EVERY * 1000 - past).unsigned_abs())).await;
        if let Err(err) = sampler.run(&platform).await {
            tracing::debug!("could not sample the metrics, leaving a gap: {err:#}");
        }
    }
}

/// A dyno to measure.
struct Running {
    app: AppId,
    run: RunId,
    name: String,
    /// Its process type, whose charts include it; `None` for a one-off dyno, which is not part of the formation.
    kind: Option<String>,
    size: String,
    started_at: Option<DateTime<Utc>>,
}

impl Running {
    /// The dynos of all apps that have a process, and the one-off dynos.
    async fn all(platform: &Platform) -> anyhow::Result<Vec<Self>> {
        let mut all: Vec<Self> = Vec::new();
        let dynos = dynos::dyno_all(platform.db(), None).await?;
        all.extend(dynos.into_iter().filter(|row| row.state != DynoState::Crashed).map(|row| Self {
            app: row.app_id,
            run: row.run_id,
            name: row.name,
            kind: Some(row.kind),
            size: row.size,
            started_at: row.started_at,
        }));
        all.extend(one_offs::one_off_running(platform.db()).await?.into_iter().map(|row| Self {
            app: row.app_id,
            run: row.run_id,
            name: row.name,
            kind: None,
            size: row.size,
            started_at: row.started_at,
        }));
        Ok(all)
    }
}

#[derive(Default)]
struct Sampler {
    counters: Option<Counters>,
    /// CPU nanoseconds by run.
    cpu: BTreeMap<RunId, u64>,
    /// The runs above their memory quota, and the time of the last report.
    over: BTreeMap<RunId, DateTime<Utc>>,
}

impl Sampler {
    async fn run(&mut self, platform: &Platform) -> anyhow::Result<()> {
        let now = Utc::now();
        let counters = platform.router().counters().await?;
        let running = Running::all(platform).await?;
        let (mut processes, mut over) = self.processes(platform, &running, now).await;
        let earlier = self.counters.take().filter(|e| e.since == counters.since);
        let mut samples = Vec::new();
        for app in &counters.apps {
            let before = earlier.as_ref().and_then(|e| e.apps.iter().find(|a| a.app_id == app.app_id));
            let grown = before.map_or_else(|| app.clone(), |b| app.since(b));
            samples.push((app.app_id, filled(&grown, processes.remove(&app.app_id).unwrap_or_default())));
        }
        samples.extend(processes.into_iter().map(|(app, processes)| (app, filled(&AppCounters::default(), processes))));
        for (app, sample) in &mut samples {
            sample.codes.extend(over.remove(app).map(|n| ("R14".to_owned(), n)));
        }
        self.counters = Some(counters);
        let series = platform.series().clone();
        tokio::task::spawn_blocking(move || {
            for (app, sample) in samples.into_iter().filter(|(_, s)| !is_empty(s)) {
                if let Err(err) = series.record(app, now, &sample) {
                    tracing::warn!(app.id = %app, "could not store a sample: {err:#}");
                }
            }
        })
        .await?;
        Ok(())
    }

    async fn processes(
        &mut self,
        platform: &Platform,
        running: &[Running],
        now: DateTime<Utc>,
    ) -> (BTreeMap<AppId, BTreeMap<String, ProcessSample>>, BTreeMap<AppId, u64>) {
        let quotas = dyno_sizes::memory_bytes();
        let (mut cpu, mut usages, mut over) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut all: BTreeMap<AppId, BTreeMap<String, ProcessSample>> = BTreeMap::new();
        for dyno in running {
            let Ok(Some(stats)) = platform.driver().stats(dyno.run).await else { continue };
            let known = used(stats.cpu_ns, self.cpu.get(&dyno.run).copied(), dyno.started_at, now);
            let used = known.unwrap_or_default();
            cpu.insert(dyno.run, stats.cpu_ns);
            let memory_quota = quotas.get(dyno.size.as_str()).copied().unwrap_or(0);
            let memory = stats.memory_rss + stats.memory_swap;
            if let Some(kind) = &dyno.kind {
                let process = all.entry(dyno.app).or_default().entry(kind.clone()).or_default();
                process.add_dyno(memory, memory_quota, used);
            }
            let cores = used as f64 / Duration::from_secs(EVERY.unsigned_abs()).as_nanos() as f64;
            if known.is_some() {
                usages.insert(dyno.run, DynoUsage { memory, memory_quota, cpu: cores });
            }
            if self.is_to_be_warned(dyno.run, memory, memory_quota, now) {
                let part = memory as f64 * 100.0 / memory_quota as f64;
                let said = format!("Process running mem={}MB({part:.1}%)", memory >> 20);
                platform.supervisor_said(dyno.app, &dyno.name, &said);
                platform.supervisor_said(dyno.app, &dyno.name, "Error R14 (Memory quota exceeded)");
                *over.entry(dyno.app).or_default() += 1;
            }
        }
        self.over.retain(|run, _| cpu.contains_key(run));
        self.cpu = cpu;
        platform.usages().replace(usages);
        (all, over)
    }

    /// Whether a run is above its quota and this was not reported recently.
    fn is_to_be_warned(&mut self, run: RunId, memory: u64, quota: u64, now: DateTime<Utc>) -> bool {
        if quota == 0 || memory <= quota {
            self.over.remove(&run);
            return false;
        }
        // Samples are not exact to the millisecond.
        let lately = OVER_EVERY - chrono::Duration::seconds(EVERY / 2);
        let is_due = self.over.get(&run).is_none_or(|at| now - *at > lately);
        if is_due {
            self.over.insert(run, now);
        }
        is_due
    }
}

/// Nanoseconds of CPU since the previous sample. For a new run, that is its total; for one that was already running
/// when this process started, it is unknown, and the total would be misleading.
fn used(total: u64, before: Option<u64>, started_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<u64> {
    let is_new = started_at.is_some_and(|at| now - at <= chrono::Duration::seconds(EVERY));
    before.or(is_new.then_some(0)).map(|before| total.saturating_sub(before))
}

fn filled(counters: &AppCounters, processes: BTreeMap<String, ProcessSample>) -> Sample {
    Sample {
        covers: Duration::from_secs(EVERY.unsigned_abs()),
        statuses: counters.statuses,
        codes: counters.codes.clone(),
        bytes_in: counters.bytes_in,
        bytes_out: counters.bytes_out,
        queue: counters.inflight,
        service: monitor::Histogram::from_buckets(counters.service.buckets.iter().copied()),
        processes,
    }
}

fn is_empty(sample: &Sample) -> bool {
    sample.processes.is_empty() && sample.statuses.iter().sum::<u64>() == 0 && sample.queue == 0
}

/// `GET /apps/{app}/metrics`
pub async fn metrics_info(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    Search(query): Search<api::metrics::MetricsQuery>,
) -> Result<Json<api::metrics::Metrics>> {
    let app = actor.app(&app, Can::View).await?;
    let to = query.to.unwrap_or_else(Utc::now);
    // An hour earlier may not be a valid time.
    let from = query.from.unwrap_or_else(|| to.checked_sub_signed(chrono::Duration::hours(1)).unwrap_or(to));
    if from >= to || to - from > chrono::Duration::days(31) {
        return Err(Error::invalid("from must be before to, and the range at most 31 days."));
    }
    // Times far outside this range are not supported by the database and by calculations.
    if from < DateTime::UNIX_EPOCH || to.timestamp() > END_OF_DATES {
        return Err(Error::invalid("from and to must be between the years 1970 and 9999."));
    }
    let step = query.step.unwrap_or_else(|| monitor::step_for(from, to)).clamp(EVERY, 86_400);
    let (series, id) = (platform.series().clone(), app.id);
    let found =
        tokio::task::spawn_blocking(move || series.query(id, from, to, step)).await.map_err(anyhow::Error::new)?;
    let found = found?;
    Ok(Json(api::metrics::Metrics {
        from: found.from,
        to: found.to,
        step: found.step,
        points: found.points.iter().map(Into::into).collect(),
        events: events(&platform, actor.payer, &app, &found).await?,
    }))
}

/// Events in the range: releases, scalings and restarts from the audit log, crashes from the log, and the beginnings of
/// request failures.
async fn events(
    platform: &Platform,
    payer: AccountId,
    app: &apps::Row,
    found: &monitor::Series,
) -> Result<Vec<MetricEvent>> {
    let (from, to) = (found.from, found.to);
    let mut events = changes(platform, app, (from, to)).await?;
    let filter = logs::Filter {
        source: Some("heroku".into()),
        level: Some(logs::Level::Error),
        text: Some("to crashed".into()),
        since: Some(from),
        until: Some(to),
        ..logs::Filter::default()
    };
    let (history, id) = (platform.history().clone(), app.id);
    let crashes = log_lines::search(platform, payer, move |budget| {
        let query = logs::Query { filter, last: Some(200), budget: budget.clone(), ..logs::Query::default() };
        history.read(id, &query)?.collect_most(200)
    })
    .await?;
    events.extend(crashes.into_iter().map(|line| MetricEvent {
        at: line.at,
        kind: "crash".into(),
        text: format!("{} crashed", line.dyno),
        label: None,
    }));
    events.extend(outbreaks(found));
    events.sort_by_key(|e| e.at);
    Ok(events)
}

/// The newest changes of an app in a time range that explain what a chart shows.
async fn changes(
    platform: &Platform,
    app: &apps::Row,
    (since, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<MetricEvent>> {
    let mut filter =
        store::events::Filter { app: Some(app.id), since: Some(since), until: Some(until), ..Default::default() };
    let (mut left, mut events) = (MOST_CHANGES, Vec::new());
    loop {
        let found = store::events::event_find(platform.db(), &filter, left).await?;
        left -= found.rows.len() as i64;
        filter.before = found.rows.last().map(|row| row.seq);
        events.extend(found.rows.into_iter().filter_map(change));
        if !found.is_cut {
            return Ok(events);
        }
    }
}

fn change(row: store::events::Row) -> Option<MetricEvent> {
    let kind = match row.action.as_str() {
        "release.create" | "release.rollback" => "release",
        "config_vars.update" => "config",
        "formation.update" => "scale",
        action if action.ends_with(".restart") || action.ends_with(".stop") => "restart",
        _ => return None,
    };
    let label = row.data["release"].as_i64().map(|version| format!("v{version}"));
    Some(MetricEvent { at: row.at, kind: kind.into(), text: row.summary, label })
}

/// The beginnings of errors of a code: the first point with errors after at least a minute, and at least one point,
/// without.
fn outbreaks(found: &monitor::Series) -> Vec<MetricEvent> {
    let quiet = chrono::Duration::seconds(found.step.max(60));
    let mut seen: BTreeMap<&String, DateTime<Utc>> = BTreeMap::new();
    let mut events = Vec::new();
    for point in &found.points {
        for (code, n) in &point.rollup.codes {
            if seen.insert(code, point.at).is_none_or(|before| point.at - before > quiet) {
                events.push(outbreak(code, *n, point.at, found.step));
            }
        }
    }
    events
}

fn outbreak(code: &str, n: u64, at: DateTime<Utc>, step: i64) -> MetricEvent {
    let text = match step {
        ..60 => format!("{code}: {n} in {step} s"),
        _ => format!("{code}: {n} in {} min", step / 60),
    };
    MetricEvent { at, kind: "error".into(), text, label: Some(code.to_owned()) }
}

/// The requests of the last hour by app. Apps without any are left out.
pub(crate) async fn traffic(
    platform: &Platform,
    ids: Vec<AppId>,
    now: DateTime<Utc>,
) -> Result<BTreeMap<AppId, LastHour>> {
    let series = platform.series().clone();
    let read = move || {
        let recent = ids.into_iter().filter_map(|id| Some((id, series.recent(id, now).ok()?)));
        recent.filter(|(_, traffic)| !traffic.requests.is_empty()).collect()
    };
    Ok(tokio::task::spawn_blocking(read).await.map_err(anyhow::Error::new)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continuing_errors_are_one_event() {
        let from = DateTime::UNIX_EPOCH;
        let points = [0, 20, 40, 60, 200, 210].map(|second| {
            let at = from + chrono::Duration::seconds(second);
            let rollup = monitor::Rollup { codes: BTreeMap::from([("R14".to_owned(), 1)]), ..Default::default() };
            monitor::Point { at, rollup }
        });
        let found = monitor::Series { from, to: from, step: 10, points: points.to_vec() };
        let began: Vec<_> = outbreaks(&found).iter().map(|e| ((e.at - from).num_seconds(), e.text.clone())).collect();
        assert_eq!(began, [(0, "R14: 1 in 10 s".into()), (200, "R14: 1 in 10 s".to_owned())]);
    }

    #[test]
    fn a_dyno_above_its_quota_is_warned_of_every_twenty_seconds() {
        let (mut sampler, run, begun) = (Sampler::default(), RunId::now_v7(), Utc::now());
        let mut at = |tens: i64, memory| {
            sampler.is_to_be_warned(run, memory, 512, begun + chrono::Duration::seconds(tens * EVERY))
        };
        assert_eq!([at(0, 600), at(1, 600), at(2, 600), at(3, 600)], [true, false, true, false]);
        assert_eq!([at(4, 512), at(5, 600), at(6, 600)], [false, true, false]);
        assert!(!sampler.is_to_be_warned(run, 600, 0, begun));
    }

    #[test]
    fn cpu_before_a_restart_of_the_server_is_not_counted_again() {
        let now = Utc::now();
        let ago = |seconds| Some(now - chrono::Duration::seconds(seconds));
        assert_eq!(used(900, Some(400), ago(3600), now), Some(500));
        assert_eq!(used(900, None, ago(4), now), Some(900));
        assert_eq!(used(900, None, ago(3600), now), None);
        assert_eq!(used(900, None, None, now), None);
    }
}

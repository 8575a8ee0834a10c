//! Log lines as data: for the console, and for programs.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, Duration, Utc};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    Platform,
    actor::Actor,
    error::{Error, Result},
    rights::Can,
    web::Search,
};

/// Lines in one answer.
const MOST: usize = 10_000;
const BUCKETS: usize = 120;

/// The query string: text, since it is typed by hand too.
#[derive(Default, Deserialize)]
pub struct Params {
    source: Option<String>,
    dyno: Option<String>,
    level: Option<api::log_lines::LogLevel>,
    text: Option<String>,
    regex: Option<String>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    lines: Option<usize>,
    before: Option<u64>,
    after: Option<u64>,
}

impl Params {
    fn filter(&self) -> logs::Filter {
        let some = |s: &Option<String>| s.clone().filter(|s| !s.is_empty());
        logs::Filter {
            source: some(&self.source),
            dyno: some(&self.dyno),
            level: self.level,
            text: some(&self.text),
            regex: some(&self.regex),
            since: self.since,
            until: self.until,
        }
    }
}

/// `GET /apps/{app}/log-lines`
pub async fn log_line_list(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    Search(params): Search<Params>,
) -> Result<Json<Vec<api::log_lines::LogLine>>> {
    let app = actor.app(&app, Can::Logs).await?;
    let most = params.lines.unwrap_or(100).min(MOST);
    let last = params.after.is_none().then_some(most);
    let query = logs::Query { filter: params.filter(), after: params.after, before: params.before, last };
    let history = platform.history().clone();
    let lines = read(move || Ok(history.read(app.id, &query)?.take(most).map(Into::into).collect())).await?;
    Ok(Json(lines))
}

/// `GET /apps/{app}/log-density`
pub async fn log_density_info(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    Search(params): Search<Params>,
) -> Result<Json<api::log_lines::LogDensity>> {
    let app = actor.app(&app, Can::Logs).await?;
    let to = params.until.unwrap_or_else(Utc::now);
    let from = params.since.unwrap_or(to - Duration::hours(1));
    if from >= to {
        return Err(Error::invalid("since must be before until."));
    }
    let (history, filter) = (platform.history().clone(), params.filter());
    let buckets = read(move || history.density(app.id, &filter, BUCKETS, from, to)).await?;
    Ok(Json(api::log_lines::LogDensity { from, to, buckets }))
}

/// The newest lines of one dyno since a moment. The moment bounds how much of the history is looked through.
pub(crate) async fn last_of(
    platform: &Platform,
    app: Uuid,
    dyno: &str,
    since: DateTime<Utc>,
    lines: usize,
) -> Result<Vec<api::log_lines::LogLine>> {
    let filter = logs::Filter { dyno: Some(dyno.to_owned()), since: Some(since), ..logs::Filter::default() };
    let history = platform.history().clone();
    read(move || Ok(history.last(app, lines, &filter)?.into_iter().map(Into::into).collect())).await
}

/// Runs work on the disk where it does not hold up others.
pub(crate) async fn read<T: Send + 'static>(work: impl FnOnce() -> logs::Result<T> + Send + 'static) -> Result<T> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(anyhow::Error::new)??)
}

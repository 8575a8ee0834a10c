//! Log lines as data: for the console, and for programs.

use axum::{
    Json,
    extract::{Path, State},
    http::header,
    response::{IntoResponse as _, Response},
};
use base::{Error, Result, web::Search};
use chrono::{DateTime, Duration, Utc};
use identity::{Actor, Can};
use platform::{
    Platform,
    log_lines::{glance, search},
};
use serde::Deserialize;

/// The maximum number of lines of a response.
const MOST: usize = 10_000;
const BUCKETS: usize = 120;
/// A request for more lines counts as a search.
const MOST_PLAIN: usize = 2000;

/// The query string: text, since users also type it by hand.
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
    fn looks_for_nothing(&self) -> bool {
        let texts = [&self.source, &self.dyno, &self.text, &self.regex];
        let wanted = texts.iter().any(|text| text.as_ref().is_some_and(|text| !text.is_empty()));
        !wanted && self.level.is_none() && self.since.is_none() && self.until.is_none()
    }

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
) -> Result<Response> {
    let app = actor.app(&app, Can::Logs).await?;
    let most = params.lines.unwrap_or(100).min(MOST);
    let last = params.after.is_none().then_some(most);
    let query = logs::Query {
        filter: params.filter(),
        after: params.after,
        before: params.before,
        last,
        ..logs::Query::default()
    };
    let history = platform.history().clone();
    let looks_for_nothing = params.looks_for_nothing();
    let look = move |budget: &logs::Budget| {
        let query = logs::Query { budget: budget.clone(), ..query };
        let lines = history.read(app.id, &query)?.collect_most(most)?;
        let lines: Vec<api::log_lines::LogLine> = lines.into_iter().map(Into::into).collect();
        // Serialised here, off the async runtime, since it is much text.
        Ok(serde_json::to_vec(&lines))
    };
    // A plain read of a few lines does not wait behind searches.
    let json = if looks_for_nothing && most <= MOST_PLAIN {
        glance(&platform, actor.payer, look).await
    } else {
        search(&platform, actor.payer, look).await
    };
    let json = json?.map_err(anyhow::Error::new)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
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
    let hour_before = to.checked_sub_signed(Duration::hours(1)).unwrap_or(to);
    let from = params.since.unwrap_or(hour_before);
    if from >= to {
        return Err(Error::invalid("since must be before until."));
    }
    let (history, filter) = (platform.history().clone(), params.filter());
    let count = move |budget: &logs::Budget| history.density(app.id, &filter, BUCKETS, (from, to), budget);
    let buckets = search(&platform, actor.payer, count).await?;
    Ok(Json(api::log_lines::LogDensity { from, to, buckets }))
}

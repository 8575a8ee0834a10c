//! Metrics as several pages show them: their time range, and their updates.

use api::{
    live::Topic,
    metrics::{Metrics, MetricsQuery},
};
use chrono::{DateTime, Duration, Utc};
use leptos::prelude::*;
use ui::{
    data::LiveData,
    live::{Live, Message},
};

use super::app_frame::ThisApp;

/// The time range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// The last hours, live.
    Last(i64),
    Between(DateTime<Utc>, DateTime<Utc>),
}

impl Range {
    /// The request for it; `now` is the current time.
    pub fn query(self, now: DateTime<Utc>) -> MetricsQuery {
        let (from, to) = match self {
            Self::Last(hours) => (now - Duration::hours(hours), now),
            Self::Between(from, to) => (from, to),
        };
        MetricsQuery { from: Some(from), to: Some(to), step: None }
    }
}

/// Updates the right edge: on every point for an hour, less often for longer ranges.
pub fn refresh(app: ThisApp, range: RwSignal<Range>, metrics: LiveData<Metrics>, client: api::Client) {
    let live = Live::of_page();
    Effect::new(move |_| {
        let (name, range) = (app.name.get(), range.get());
        let Range::Last(hours) = range else { return };
        let client = client.clone();
        let received = std::cell::Cell::new(0u32);
        live.subscribe(Topic::Metrics { app: name.clone() }, move |message| {
            let Message::Lines(_) = message else { return };
            received.set(received.get() + 1);
            if hours > 1 && !received.get().is_multiple_of(6) {
                return;
            }
            let request = client.metrics_info(&name, &range.query(Utc::now()));
            leptos::task::spawn_local(async move {
                if let Ok(new) = request.await {
                    metrics.put(new);
                }
            });
        });
    });
}

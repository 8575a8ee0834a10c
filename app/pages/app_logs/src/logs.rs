//! The log of an app.

mod detail;
mod histogram;
mod toolbar;
mod viewer;

use api::log_lines::{LogFilter, LogLevel, LogLine, LogLinesQuery};
use chrono::{DateTime, Utc};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use pages_app::app_frame::ThisApp;
use ui::data::{client, fetched};

use detail::Detail;
use histogram::Histogram;
use toolbar::Toolbar;
use viewer::{Viewer, ViewerView};

/// Lines in the page that the server sends.
const FIRST_LINES: u32 = 100;

/// The position in the log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Position {
    /// At the end, live.
    Newest,
    /// From a point in time on.
    At(DateTime<Utc>),
    /// At a line, which is selected.
    Line(u64),
}

/// State shared by the parts of the page.
#[derive(Clone, Copy)]
pub struct Reading {
    pub filter: RwSignal<LogFilter>,
    pub position: RwSignal<Position>,
}

impl Reading {
    /// The state in the query: `?q=…&source=…&dyno=…&level=…&line=…&at=…`.
    fn from_address() -> Self {
        let query = use_query_map();
        let of = |key: &str| query.with_untracked(|q| q.get(key)).filter(|v| !v.is_empty());
        let level = match of("level").as_deref() {
            Some("error") => Some(LogLevel::Error),
            Some("warn") => Some(LogLevel::Warn),
            _ => None,
        };
        let filter = LogFilter {
            source: of("source"),
            dyno: of("dyno"),
            level,
            text: of("q"),
            regex: of("regex"),
            ..Default::default()
        };
        let at = of("at").and_then(|at| at.parse::<DateTime<Utc>>().ok()).map(Position::At);
        let position = of("line").and_then(|n| n.parse().ok()).map(Position::Line).or(at).unwrap_or(Position::Newest);
        Self { filter: RwSignal::new(filter), position: RwSignal::new(position) }
    }

    /// The query string that leads back here.
    pub fn address(self) -> String {
        let filter = self.filter.get();
        let level = filter.level.map(|l| if l == LogLevel::Error { "error" } else { "warn" }.to_owned());
        let (line, at) = match self.position.get() {
            Position::Newest => (None, None),
            Position::At(at) => (None, Some(at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))),
            Position::Line(n) => (Some(n.to_string()), None),
        };
        let all = [
            ("q", filter.text),
            ("regex", filter.regex),
            ("source", filter.source),
            ("dyno", filter.dyno),
            ("level", level),
            ("line", line),
            ("at", at),
        ];
        let pairs: Vec<String> =
            all.into_iter().filter_map(|(k, v)| Some(format!("{k}={}", api::client::segment(&v?)))).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }
}

/// The request for the page of lines at a position.
pub fn page_at(filter: &LogFilter, position: Position, lines: u32) -> LogLinesQuery {
    let mut query = LogLinesQuery { filter: filter.clone(), lines: Some(lines), ..Default::default() };
    match position {
        Position::Newest => {}
        Position::At(at) => {
            query.filter.since = Some(at);
            query.after = Some(0);
        }
        // Some lines before it, for context.
        Position::Line(n) => query.after = Some(n.saturating_sub(u64::from(lines / 4).max(1))),
    }
    query
}

/// The request of a log that is opened without a filter.
pub fn newest_lines() -> LogLinesQuery {
    page_at(&LogFilter::default(), Position::Newest, FIRST_LINES)
}

/// `/apps/:app/logs`
#[component]
pub fn LogsPage() -> impl IntoView {
    let app = ThisApp::of_page();
    let reading = Reading::from_address();
    let client = client();
    let first = fetched(
        move || app.name.get(),
        move |name: String| {
            let query = page_at(&reading.filter.get_untracked(), reading.position.get_untracked(), FIRST_LINES);
            client.log_line_list(&name, &query)
        },
    );
    // The URL follows, so that the view can be shared.
    Effect::new(move |before: Option<()>| {
        let address = reading.address();
        if before.is_some()
            && let Ok(history) = window().history()
        {
            let url = format!("{}{address}", window().location().pathname().unwrap_or_default());
            let _ = history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&url));
        }
    });
    first.show(12, move |first: Signal<Vec<LogLine>>| {
        let viewer = Viewer::new(app, reading, first.get_untracked());
        view! {
            <div class="lt">
                <Toolbar app reading viewer/>
                <Histogram app reading/>
            </div>
            <ViewerView viewer><Detail viewer app/></ViewerView>
        }
    })
}

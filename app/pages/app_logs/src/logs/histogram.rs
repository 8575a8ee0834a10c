//! The number of lines over time, with releases and errors, to jump to a time.

use api::{
    log_lines::{LogDensity, LogLinesQuery},
    metrics::{MetricEvent, MetricsQuery},
};
use chrono::{DateTime, Duration};
use leptos::{ev, html, prelude::*};
use pages_app::app_frame::ThisApp;
use ui::{
    clock::Clock,
    data::{client, fetched},
    parts::Rail,
    words,
};

use super::{Position, Reading, toolbar::lines};

/// Selectable time ranges, in minutes.
const RANGES: [(i64, &str); 5] = [(15, "15 min"), (60, "1 h"), (360, "6 h"), (1440, "24 h"), (10_080, "7 d")];

/// Bars of lines over time.
#[component]
pub fn Histogram(app: ThisApp, reading: Reading) -> impl IntoView {
    let clock = Clock::of_page();
    let minutes = RwSignal::new(60i64);
    let client = client();
    // Refetched twice a minute: bars of an hour do not need more.
    let beat = Memo::new(move |_| clock.now().timestamp() / 30);
    let density = fetched(
        move || (app.name.get(), reading.filter.get(), minutes.get(), beat.get()),
        move |(name, mut filter, minutes, beat): (String, api::log_lines::LogFilter, i64, i64)| {
            let end = DateTime::from_timestamp(beat * 30, 0).unwrap_or_default();
            filter.since = Some(end - Duration::minutes(minutes));
            client.log_density_info(&name, &LogLinesQuery { filter, ..Default::default() })
        },
    );
    view! {
        <div class="hg">
            <div class="row meta">
                <span class="seg" role="group" aria-label="Range">
                    {RANGES.into_iter().map(|(n, word)| view! {
                        <button type="button" aria-pressed=move || (minutes.get() == n).to_string() on:click=move |_| minutes.set(n)>{word}</button>
                    }).collect_view()}
                </span>
                {move || match reading.position.get() {
                    Position::At(at) => Some(view! { <span class="push">"from "{words::exact(at)}</span> }.into_any()),
                    Position::Line(_) | Position::Newest => None,
                }}
            </div>
            {density.show(1, move |density| view! { <Bars app reading density/> })}
        </div>
    }
    .into_any()
}

#[component]
fn Bars(app: ThisApp, reading: Reading, density: Signal<LogDensity>) -> impl IntoView {
    let clock = Clock::of_page();
    let chosen = RwSignal::new(0usize);
    let element = NodeRef::<html::Div>::new();
    let most = Memo::new(move |_| density.with(|d| d.buckets.iter().map(|b| b.lines).max().unwrap_or(0).max(1)));
    let count = move || density.with(|d| d.buckets.len().max(1));
    let time_of = move |i: usize| density.with(|d| d.from + (d.to - d.from) * i as i32 / d.buckets.len().max(1) as i32);
    let go = move |i: usize| {
        chosen.set(i);
        reading.position.set(Position::At(time_of(i)));
    };
    let clicked = move |ev: ev::MouseEvent| {
        let Some(element) = element.get_untracked() else { return };
        let bounds = element.get_bounding_client_rect();
        let part = (f64::from(ev.client_x()) - bounds.left()) / bounds.width().max(1.0);
        go(((part * count() as f64) as usize).min(count() - 1));
    };
    let keyed = move |ev: ev::KeyboardEvent| {
        let last = count() - 1;
        match ev.key().as_str() {
            "ArrowLeft" => chosen.update(|i| *i = i.saturating_sub(1)),
            "ArrowRight" => chosen.update(|i| *i = (*i + 1).min(last)),
            "Home" => chosen.set(0),
            "End" => chosen.set(last),
            "Enter" => go(chosen.get_untracked()),
            _ => return,
        }
        ev.prevent_default();
    };
    let text = move || {
        let i = chosen.get();
        let bucket = density.with(|d| d.buckets.get(i).copied()).unwrap_or_default();
        format!("{}, {}, {} with errors", words::exact(time_of(i)), lines(bucket.lines), bucket.errors)
    };
    let events = events_of(app, density);
    view! {
        {move || density.with(|d| view! { <Rail events=events.get() from=d.from to=d.to/> })}
        <div
            class="histo"
            role="slider"
            tabindex="0"
            aria-label="Lines over time; press Enter to show the log from there"
            aria-valuemin="0"
            aria-valuemax=move || count() - 1
            aria-valuenow=move || chosen.get()
            aria-valuetext=text
            node_ref=element
            on:click=clicked
            on:keydown=keyed
        >
            {move || density.get().buckets.into_iter().enumerate().map(|(i, b)| {
                let class = if b.errors > 0 { "e" } else { "" };
                let least = if b.errors > 0 { 6.0 } else { 0.0 };
                let (h, e) = (b.lines as f64 * 100.0 / most.get() as f64, b.errors as f64 * 100.0 / b.lines.max(1) as f64);
                view! {
                    <i
                        class=class
                        style=format!("--h:{h:.0};--e:{:.0}", e.max(least))
                        title=format!("{} · {}", words::exact(time_of(i)), lines(b.lines))
                    ></i>
                }
            }).collect_view()}
        </div>
        <div class="axis" aria-hidden="true">
            {move || {
                let (from, to) = density.with(|d| (d.from, d.to));
                (0..=4).map(|i| {
                    let at = from + (to - from) * i / 4;
                    view! { <span>{if i == 4 { "now".to_owned() } else { words::clock_time(clock.local(at)) }}</span> }
                }).collect_view()
            }}
        </div>
    }
    .into_any()
}

/// Releases, scalings, crashes and the start of errors, as marked in charts.
fn events_of(app: ThisApp, density: Signal<LogDensity>) -> RwSignal<Vec<MetricEvent>> {
    let events = RwSignal::new(Vec::new());
    let client = client();
    let range = Memo::new(move |_| density.with(|d| (d.from, d.to)));
    Effect::new(move |_| {
        let (from, to) = range.get();
        let request =
            client.metrics_info(&app.name.get(), &MetricsQuery { from: Some(from), to: Some(to), step: None });
        leptos::task::spawn_local(async move {
            if let Ok(metrics) = request.await {
                events.try_set(metrics.events);
            }
        });
    });
    events
}

//! The event rail: one set of markers on every time axis.

use api::metrics::MetricEvent;
use chrono::{DateTime, Utc};
use leptos::prelude::*;

use crate::words;

/// The class and the glyph of a kind of event.
pub fn marker(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "release" => ("", "rel"),
        "config" => ("", "cfg"),
        "scale" => ("info", "info"),
        "crash" => ("bad", "bad"),
        "error" => ("warn", "warn"),
        _ => ("idle", "idle"),
    }
}

/// Where `at` lies between `from` and `to`, in per cent.
pub fn place(at: DateTime<Utc>, from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    let whole = (to - from).num_milliseconds().max(1) as f64;
    (at - from).num_milliseconds() as f64 * 100.0 / whole
}

/// Events between two moments. Labels that would lie on each other are left to the tooltip.
#[component]
pub fn Rail(events: Vec<MetricEvent>, from: DateTime<Utc>, to: DateTime<Utc>) -> impl IntoView {
    let label = match events.len() {
        0 => "No events".to_owned(),
        _ => {
            let said: Vec<String> = events.iter().map(|e| format!("{} {}", e.text, words::exact(e.at))).collect();
            format!("Events: {}", said.join(", "))
        }
    };
    let mut taken = -100.0;
    let marks: Vec<_> = events
        .into_iter()
        .filter_map(|event| {
            let x = place(event.at, from, to);
            (0.0..=100.0).contains(&x).then_some((x, event))
        })
        .map(|(x, event)| {
            let free = x - taken > 9.0;
            if free {
                taken = x;
            }
            (x, free, event)
        })
        .collect();
    view! {
        <div class="rail" role="img" aria-label=label>
            {marks.into_iter().map(|(x, free, event)| {
                let (tone, glyph) = marker(&event.kind);
                let flip = if x > 85.0 { "flip" } else { "" };
                view! {
                    <span class=format!("ev {tone} {flip}") style=format!("--x:{x:.1}") title=format!("{} · {}", event.text, words::exact(event.at))>
                        <svg aria-hidden="true"><use href=format!("#g-{glyph}")></use></svg>
                        {free.then(|| view! { <span class="clip" style="max-width:140px">{event.text.clone()}</span> })}
                    </span>
                }
            }).collect_view()}
            <span class="now"></span>
        </div>
    }
    .into_any()
}

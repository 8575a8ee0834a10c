//! The event rail: markers on a time axis.

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
        "restart" => ("idle", "idle"),
        "crash" => ("bad", "bad"),
        "error" => ("warn", "warn"),
        _ => ("idle", "idle"),
    }
}

/// Where `at` lies between `from` and `to`, in per cent.
pub fn axis_percent(at: DateTime<Utc>, from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    let whole = (to - from).num_milliseconds().max(1) as f64;
    (at - from).num_milliseconds() as f64 * 100.0 / whole
}

/// Labels are to the right of their mark; from this position on, to its left.
const FLIP: f64 = 85.0;
/// The width of a label in per cent.
const ROOM: f64 = 14.0;

/// Whether there is space for the label of the mark at `i`; `places` are in order.
fn is_free(places: &[f64], i: usize) -> bool {
    let x = places[i];
    let after = places.get(i + 1).copied().unwrap_or(f64::INFINITY);
    let before = i.checked_sub(1).map_or(f64::NEG_INFINITY, |i| places[i]);
    match x > FLIP {
        // To the left there may be another mark or its label.
        true => x - before > ROOM * 2.0 || (x - before > ROOM && !(i > 0 && is_free(places, i - 1))),
        false => after - x > ROOM,
    }
}

/// Events between two times. Labels that would overlap are shown only in the tooltip.
#[component]
pub fn Rail(events: Vec<MetricEvent>, from: DateTime<Utc>, to: DateTime<Utc>) -> impl IntoView {
    let label = match events.len() {
        0 => "No events".to_owned(),
        _ => {
            let texts: Vec<String> = events.iter().map(|e| format!("{} {}", e.text, words::exact(e.at))).collect();
            format!("Events: {}", texts.join(", "))
        }
    };
    let placed: Vec<(f64, MetricEvent)> = events
        .into_iter()
        .map(|event| (axis_percent(event.at, from, to), event))
        .filter(|(x, _)| (0.0..=100.0).contains(x))
        .collect();
    let places: Vec<f64> = placed.iter().map(|(x, _)| *x).collect();
    let marks: Vec<_> = placed.into_iter().enumerate().map(|(i, (x, event))| (x, is_free(&places, i), event)).collect();
    view! {
        <div class="rail" role="img" aria-label=label>
            {marks.into_iter().map(|(x, free, event)| {
                let (tone, glyph) = marker(&event.kind);
                let flip = if x > FLIP { "flip" } else { "" };
                view! {
                    <span class=format!("ev {tone} {flip}") style=format!("--x:{x:.1}") title=format!("{} · {}", event.text, words::exact(event.at))>
                        <svg aria-hidden="true"><use href=format!("#g-{glyph}")></use></svg>
                        {free.then(|| view! { <span class="clip" style="max-width:140px">{event.label.clone().unwrap_or_else(|| event.text.clone())}</span> })}
                    </span>
                }
            }).collect_view()}
            <span class="now"></span>
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::is_free;

    #[test]
    fn labels_do_not_overlap() {
        let free = |places: &[f64]| (0..places.len()).map(|i| is_free(places, i)).collect::<Vec<_>>();
        assert_eq!(free(&[10.0, 12.0, 40.0, 100.0]), [false, true, true, true]);
        assert_eq!(free(&[80.0, 90.0]), [false, false]);
        assert_eq!(free(&[98.0, 99.0, 99.5]), [true, false, false]);
    }
}

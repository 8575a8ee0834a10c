//! A chart: legend, axes, lines, events, and the crosshair shared by all charts.

use crate::parts::Show;
use api::metrics::MetricEvent;
use chrono::{DateTime, Duration, Utc};
use leptos::{either::Either, ev, html, prelude::*};

use super::scale::{HEIGHT, Scale, area_path, line_path, moment};
use crate::parts::Each;
use crate::{
    clock::Clock,
    parts::rail::{axis_percent, marker},
    words,
};

/// A line or an area.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub name: String,
    /// A colour token, `--c1`.
    pub colour: &'static str,
    pub values: Vec<Option<f64>>,
}

/// State shared by all charts of a page: time range, events and crosshair.
#[derive(Clone, Copy)]
pub struct Frame {
    /// From, to and the seconds between two points.
    pub range: Signal<(DateTime<Utc>, DateTime<Utc>, i64)>,
    pub events: Signal<Vec<MetricEvent>>,
    /// The position of the crosshair.
    pub cross: RwSignal<Option<usize>>,
    /// Called with a time range to zoom to.
    pub zoom: Callback<(DateTime<Utc>, DateTime<Utc>)>,
    /// Called with a time to show in the log.
    pub lines: Callback<DateTime<Utc>>,
}

/// `HH:MM` for a day, the date for more.
fn tick(at: DateTime<Utc>, whole: Duration, clock: Clock) -> String {
    if whole > Duration::hours(48) { words::date(at, clock) } else { words::clock_time(clock.local(at)) }
}

/// One chart.
#[component]
pub fn Chart(
    title: &'static str,
    /// The unit, beside the title.
    unit: &'static str,
    #[prop(into)] series: Signal<Vec<Series>>,
    frame: Frame,
    /// Formats values for the legend and the tooltip.
    formatter: fn(f64) -> String,
    /// Stacked areas instead of lines.
    #[prop(optional)]
    stacked: bool,
    /// Uses powers of two.
    #[prop(optional)]
    bytes: bool,
    /// A limit and its name.
    #[prop(into, optional)]
    limit: Signal<Option<(f64, String)>>,
) -> impl IntoView {
    let clock = Clock::of_page();
    let hidden = RwSignal::new(Vec::<String>::new());
    let shown = Memo::new(move |_| {
        series.with(|all| all.iter().filter(|s| hidden.with(|h| !h.contains(&s.name))).cloned().collect::<Vec<_>>())
    });
    let count = Memo::new(move |_| series.with(|s| s.first().map_or(0, |s| s.values.len())));
    let scale = Memo::new(move |_| {
        let most = shown.with(|shown| maximum(shown, stacked)).max(limit.with(|l| l.as_ref().map_or(0.0, |l| l.0)));
        if bytes { Scale::bytes_up_to(most * 1.05) } else { Scale::up_to(most * 1.05) }
    });
    let has_data = move || series.with(|s| s.iter().any(|s| s.values.iter().any(Option::is_some)));
    let summary = move || {
        series.with(|all| {
            let values: Vec<String> =
                all.iter().map(|s| format!("{} {}", s.name, newest(s).map_or("no value".into(), formatter))).collect();
            format!("{title}, {unit}. Newest: {}", values.join(", "))
        })
    };
    // The right edge moves in steps, and the page may take a while to load.
    let ends_now = Memo::new(move |_| {
        let (_, to, step) = frame.range.get();
        (clock.now() - to).num_seconds() < 2 * step.max(30)
    });
    let ticks = move || {
        let (from, to, _) = frame.range.get();
        let at = |i: i32| tick(from + (to - from) * i / 6, to - from, clock);
        let last = if ends_now.get() { "now".to_owned() } else { at(6) };
        (0..6).map(at).chain([last]).collect::<Vec<_>>()
    };
    view! {
        <section class="sec" aria-label=title>
            <div class="sec-h"><h2>{title}</h2><span class="meta">{unit}</span></div>
            <Legend series hidden formatter stacked/>
            <div class="chart" style="--h:170px">
                <div class="ys" aria-hidden="true">
                    {move || scale.get().lines().into_iter().map(|(value, y)| view! {
                        <span style=format!("--y:{y:.1}")>{if bytes { words::bytes(value as u64) } else { words::short_number(value) }}</span>
                    }).collect_view()}
                </div>
                <Plot shown scale count frame formatter stacked limit label=Signal::derive(summary)/>
                <div class="axis" aria-hidden="true">{move || ticks().into_iter().map(|t| view! { <span>{t}</span> }).collect_view()}</div>
            </div>
            <Show when=move || !has_data()><p class="meta">"No metrics in this range."</p></Show>
        </section>
    }
    .into_any()
}

fn newest(series: &Series) -> Option<f64> {
    series.values.iter().rev().find_map(|v| *v)
}

fn maximum(shown: &[Series], stacked: bool) -> f64 {
    if !stacked {
        return shown.iter().flat_map(|s| s.values.iter().flatten()).copied().fold(0.0, f64::max);
    }
    let length = shown.first().map_or(0, |s| s.values.len());
    (0..length)
        .map(|i| shown.iter().filter_map(|s| s.values.get(i).copied().flatten()).sum::<f64>())
        .fold(0.0, f64::max)
}

#[component]
fn Legend(
    series: Signal<Vec<Series>>,
    hidden: RwSignal<Vec<String>>,
    formatter: fn(f64) -> String,
    stacked: bool,
) -> impl IntoView {
    let names =
        Memo::new(move |_| series.with(|all| all.iter().map(|s| (s.name.clone(), s.colour)).collect::<Vec<_>>()));
    let swatch = if stacked { "box" } else { "" };
    view! {
        <div class="legend">
            <Each each=move || names.get() key=|(name, _)| name.clone() children=move |(name, colour)| {
                let name = StoredValue::new(name);
                let on = move || hidden.with(|h| !h.contains(&name.get_value()));
                let value = move || series.with(|all| all.iter().find(|s| name.with_value(|n| s.name == *n)).and_then(newest)).map(formatter);
                let toggle = move |_| hidden.update(|h| match h.iter().position(|n| name.with_value(|name| n == name)) {
                    Some(i) => { h.remove(i); }
                    None => h.push(name.get_value()),
                });
                view! {
                    <button type="button" aria-pressed=move || on().to_string() class:faint=move || !on() on:click=toggle>
                        <i class=swatch style=format!("--c:var({colour})")></i>
                        {name.get_value()}
                        " "
                        <b>{value}</b>
                    </button>
                }
            }/>
        </div>
    }
    .into_any()
}

#[component]
fn Plot(
    shown: Memo<Vec<Series>>,
    scale: Memo<Scale>,
    count: Memo<usize>,
    frame: Frame,
    formatter: fn(f64) -> String,
    stacked: bool,
    limit: Signal<Option<(f64, String)>>,
    label: Signal<String>,
) -> impl IntoView {
    let element = NodeRef::<html::Div>::new();
    let here = RwSignal::new(false);
    let drag = RwSignal::new(None::<usize>);
    let place_of = move |ev: &ev::PointerEvent| {
        let bounds = element.get_untracked()?.get_bounding_client_rect();
        let part = (f64::from(ev.client_x()) - bounds.left()) / bounds.width().max(1.0);
        let last = count.get_untracked().checked_sub(1)?;
        Some(((part * last as f64).round().max(0.0) as usize).min(last))
    };
    let moved = move |ev: ev::PointerEvent| {
        here.set(true);
        frame.cross.set(place_of(&ev));
    };
    let left = move |_| {
        here.set(false);
        drag.set(None);
        frame.cross.set(None);
    };
    let released = move |ev: ev::PointerEvent| {
        let (Some(a), Some(b)) = (drag.get_untracked(), place_of(&ev)) else { return };
        drag.set(None);
        if a.abs_diff(b) >= 2 {
            let (from, _, step) = frame.range.get_untracked();
            frame.zoom.run((moment(from, step, a.min(b)), moment(from, step, a.max(b) + 1)));
        }
    };
    let keyed = move |ev: ev::KeyboardEvent| {
        let last = count.get_untracked().saturating_sub(1) as i64;
        let now = frame.cross.get_untracked().map_or(last, |i| i as i64);
        let Some(next) = next_point(&ev, frame, now, last) else { return };
        ev.prevent_default();
        here.set(true);
        frame.cross.set(Some(next.clamp(0, last) as usize));
    };
    let percent = move |i: usize| i as f64 * 100.0 / count.get().saturating_sub(1).max(1) as f64;
    view! {
        <div
            class="plot"
            role="slider"
            tabindex="0"
            aria-label=label
            aria-valuemin="0"
            aria-valuemax=move || count.get().saturating_sub(1)
            aria-valuenow=move || frame.cross.get().unwrap_or_else(|| count.get().saturating_sub(1))
            aria-valuetext=move || { let i = frame.cross.get().unwrap_or_else(|| count.get().saturating_sub(1)); text_at(frame, shown, formatter, i) }
            node_ref=element
            on:pointermove=moved
            on:pointerleave=left
            on:pointerdown=move |ev| drag.set(place_of(&ev))
            on:pointerup=released
            on:keydown=keyed
        >
            {move || {
                let (from, to, _) = frame.range.get();
                frame.events.get().into_iter().map(|e| (axis_percent(e.at, from, to), marker(&e.kind).0)).filter(|(x, _)| (0.0..=100.0).contains(x)).map(|(x, tone)| view! {
                    <span class=format!("evl {tone}") style=format!("--x:{x:.1}")></span>
                }).collect_view()
            }}
            {move || drag.get().zip(frame.cross.get()).filter(|(a, b)| a.abs_diff(*b) >= 2).map(|(a, b)| view! {
                <span class="brush" style=format!("--x:{:.2};--w:{:.2}", percent(a.min(b)), percent(a.abs_diff(b)))></span>
            })}
            <svg viewBox=move || format!("0 0 {} {HEIGHT}", count.get().saturating_sub(1).max(1)) preserveAspectRatio="none" aria-hidden="true">
                {move || scale.get().lines().into_iter().map(|(_, y)| {
                    let y = HEIGHT - y * HEIGHT / 100.0;
                    view! { <path class="grid-l" d=format!("M0 {y:.1}H{}", count.get().saturating_sub(1).max(1))></path> }
                }).collect_view()}
                {move || paths(&shown.get(), &scale.get(), stacked).into_iter().map(|(class, colour, d)| view! {
                    <path class=class style=format!("--c:var({colour})") d=d></path>
                }).collect_view()}
            </svg>
            {move || limit.get().map(|(value, name)| view! {
                <span class="thr" style=format!("--y:{:.1}", value * 100.0 / scale.get().top)><span>{name}</span></span>
            })}
            {move || frame.cross.get().map(|i| view! {
                <span class="cross" style=format!("--x:{:.2}", percent(i))>
                    {here.get().then(|| view! { <Tip frame shown formatter i/> })}
                </span>
            })}
        </div>
    }
    .into_any()
}

/// The position after a key press; `None` for other keys.
fn next_point(ev: &ev::KeyboardEvent, frame: Frame, now: i64, last: i64) -> Option<i64> {
    let by = if ev.shift_key() { 10 } else { 1 };
    match ev.key().as_str() {
        "ArrowLeft" => return Some(now - by),
        "ArrowRight" => return Some(now + by),
        "Home" => return Some(0),
        "End" => return Some(last),
        "e" | "E" => return Some(next_event(frame, now as usize).map_or(now, |i| i as i64)),
        "Enter" => {
            let (from, _, step) = frame.range.get_untracked();
            frame.lines.run(moment(from, step, now as usize));
        }
        "Escape" => frame.cross.set(None),
        _ => {}
    }
    None
}

/// Class, colour and path of everything that is drawn. The first series is drawn last, on top.
fn paths(shown: &[Series], scale: &Scale, stacked: bool) -> Vec<(&'static str, &'static str, String)> {
    if !stacked {
        let lines = shown.iter().enumerate().rev();
        return lines
            .map(|(i, s)| (if i == 0 { "ln fat" } else { "ln" }, s.colour, line_path(&s.values, scale)))
            .collect();
    }
    let mut below = vec![0.0; shown.first().map_or(0, |s| s.values.len())];
    let mut out = Vec::new();
    for series in shown {
        out.push(("ar solid", series.colour, area_path(&series.values, &below, scale)));
        below.iter_mut().zip(&series.values).for_each(|(sum, value)| *sum += value.unwrap_or(0.0));
    }
    out
}

fn next_event(frame: Frame, after: usize) -> Option<usize> {
    let (from, _, step) = frame.range.get_untracked();
    let places = frame.events.with_untracked(|e| {
        e.iter().map(|e| ((e.at - from).num_seconds() / step.max(1)).max(0) as usize).collect::<Vec<_>>()
    });
    places.iter().copied().filter(|i| *i > after).min().or_else(|| places.into_iter().min())
}

fn text_at(frame: Frame, shown: Memo<Vec<Series>>, formatter: fn(f64) -> String, i: usize) -> String {
    let (from, _, step) = frame.range.get();
    let values: Vec<String> = shown.with(|all| {
        all.iter()
            .map(|s| format!("{} {}", s.name, s.values.get(i).copied().flatten().map_or("no value".into(), formatter)))
            .collect()
    });
    format!("{}: {}", words::exact(moment(from, step, i)), values.join(", "))
}

#[component]
fn Tip(frame: Frame, shown: Memo<Vec<Series>>, formatter: fn(f64) -> String, i: usize) -> impl IntoView {
    let clock = Clock::of_page();
    let (from, to, step) = frame.range.get_untracked();
    let (at, end) = (moment(from, step, i), moment(from, step, i + 1));
    let side = if axis_percent(at, from, to) > 55.0 { "tip l" } else { "tip" };
    let times = untrack(|| {
        let at_clock = |at| match step {
            ..60 => words::clock_seconds(clock.local(at)),
            _ => words::clock_time(clock.local(at)),
        };
        format!("{}, {} to {}", words::date(at, clock), at_clock(at), at_clock(end))
    });
    let happened = frame
        .events
        .with_untracked(|e| e.iter().filter(|e| (at..end).contains(&e.at)).map(|e| e.text.clone()).collect::<Vec<_>>());
    view! {
        <span class=side>
            <span class="strong nowrap">{times}</span>
            {shown.get_untracked().into_iter().map(|s| {
                let value = s.values.get(i).copied().flatten();
                view! {
                    <div>
                        <span class="dim">{s.name}</span>
                        <b>{match value { Some(v) => Either::Left(formatter(v)), None => Either::Right("–") }}</b>
                    </div>
                }
            }).collect_view()}
            {happened.into_iter().map(|text| view! { <div class="dim">{text}</div> }).collect_view()}
        </span>
    }
    .into_any()
}

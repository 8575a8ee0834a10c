//! Metrics: response times, errors and usage, with events.

use std::collections::BTreeSet;

use api::metrics::{MetricPoint, Metrics, ProcessPoint};
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use leptos::prelude::*;
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_query_map},
};
use pages_app::{
    app_frame::ThisApp,
    codes,
    metrics::{Range, refresh},
};
use ui::{
    clock::Clock,
    data::{client, fetched},
    parts::{
        Icon, LiveMark, Rail, Show, Spark,
        chart::{Chart, Frame, Series, grid},
    },
    words,
};

const RANGES: [(i64, &str); 4] = [(1, "1 h"), (24, "24 h"), (168, "7 days"), (720, "30 days")];

/// `/apps/:app/metrics`
#[component]
pub fn MetricsPage() -> impl IntoView {
    let app = ThisApp::of_page();
    let clock = Clock::of_page();
    // `?at=…`: half an hour around a moment, as the log links to it.
    let at = use_query_map().with_untracked(|q| q.get("at")).and_then(|at| at.parse::<DateTime<Utc>>().ok());
    let around = at.map(|at| Range::Between(at - Duration::minutes(15), at + Duration::minutes(15)));
    let range = RwSignal::new(around.unwrap_or(Range::Last(1)));
    let client = client();
    let refresh_client = client.clone();
    let metrics = fetched(
        move || (app.name.get(), range_key(range.get())),
        move |(name, _): (String, String)| {
            client.metrics_info(&name, &range.get_untracked().query(clock.now_untracked()))
        },
    );
    refresh(app, range, metrics, refresh_client);
    view! {
        <div class="page">
            <div class="row wrap g3">
                <div class="seg" role="group" aria-label="Range">
                    {RANGES.into_iter().map(|(hours, word)| view! {
                        <button type="button" aria-pressed=move || (range.get() == Range::Last(hours)).to_string() on:click=move |_| range.set(Range::Last(hours))>{word}</button>
                    }).collect_view()}
                </div>
                <Show when=move || matches!(range.get(), Range::Last(_)) fallback=move || view! {
                    <button class="btn sm" type="button" on:click=move |_| range.set(Range::Last(1))>"Back to the last hour"</button>
                }><LiveMark/></Show>
                <span class="push meta hide-p">"drag across a chart to zoom all charts"</span>
            </div>
            {metrics.show(10, move |metrics| {
                let none = Memo::new(move |_| metrics.with(|m| m.points.is_empty() && m.events.is_empty()));
                move || if none.get() { nothing(app) } else { view! { <Charts app metrics range/> }.into_any() }
            })}
        </div>
    }
    .into_any()
}

/// Shown instead of five empty charts.
fn nothing(app: ThisApp) -> AnyView {
    view! {
        <section class="empty" aria-labelledby="nothing" style="padding-block:44px">
            <span class="faint"><Icon name="gauge" size="i-l"/></span>
            <h2 id="nothing" style="font-size:var(--t-lead)">"No metrics in this range"</h2>
            <p class="dim">"Requests, response times, memory and CPU are measured every 10 s while dynos run."</p>
            <a class="btn" href=move || app.path("/resources")>"View running dynos"</a>
        </section>
    }
    .into_any()
}

fn range_key(range: Range) -> String {
    format!("{range:?}")
}

/// A series with one value per point.
fn series(m: &Metrics, name: &str, colour: &'static str, value: impl Fn(&MetricPoint) -> Option<f64>) -> Series {
    let places = grid(&m.points, |p| p.at, m.from, m.to, m.step);
    Series {
        name: name.into(),
        colour,
        values: places.into_iter().map(|i| i.and_then(|i| value(&m.points[i]))).collect(),
    }
}

fn per_second(m: &Metrics, n: u64) -> Option<f64> {
    Some(n as f64 / m.step.max(1) as f64)
}

#[component]
fn Charts(app: ThisApp, metrics: Signal<Metrics>, range: RwSignal<Range>) -> impl IntoView {
    let navigate = use_navigate();
    let process = RwSignal::new(None::<String>);
    let kinds = Memo::new(move |_| {
        metrics.with(|m| m.points.iter().flat_map(|p| p.processes.keys().cloned()).collect::<BTreeSet<String>>())
    });
    let kind = Memo::new(move |_| {
        let kinds = kinds.get();
        process
            .get()
            .filter(|k| kinds.contains(k))
            .or_else(|| kinds.get("web").cloned())
            .or_else(|| kinds.into_iter().next())
    });
    let frame = Frame {
        range: Signal::derive(move || metrics.with(|m| (m.from, m.to, m.step))),
        events: Signal::derive(move || metrics.with(|m| m.events.clone())),
        cross: RwSignal::new(None),
        zoom: Callback::new(move |(from, to)| range.set(Range::Between(from, to))),
        lines: Callback::new(move |at: DateTime<Utc>| {
            let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            navigate(&format!("/apps/{}/logs?at={at}", app.name.get_untracked()), NavigateOptions::default());
        }),
    };
    let of_kind = move |m: &Metrics, name: &str, colour, value: fn(&ProcessPoint) -> f64| {
        series(m, name, colour, |p| kind.get().and_then(|k| p.processes.get(&k)).map(value))
    };
    let times = Signal::derive(move || {
        metrics.with(|m| {
            vec![
                series(m, "p95", "--c1", |p| p.p95_ms),
                series(m, "p99", "--c2", |p| p.p99_ms),
                series(m, "median", "--c4", |p| p.p50_ms),
            ]
        })
    });
    let requests = Signal::derive(move || {
        metrics.with(|m| {
            vec![
                series(m, "2xx", "--c1", |p| per_second(m, p.requests_2xx)),
                series(m, "3xx", "--c4", |p| per_second(m, p.requests_3xx)),
                series(m, "4xx", "--c3", |p| per_second(m, p.requests_4xx)),
                series(m, "5xx", "--bad-dot", |p| per_second(m, p.requests_5xx)),
            ]
        })
    });
    let memory = Signal::derive(move || {
        metrics.with(|m| {
            vec![of_kind(m, "max", "--c1", |p| p.memory_max as f64), of_kind(m, "mean", "--c4", |p| p.memory as f64)]
        })
    });
    let quota = Signal::derive(move || {
        metrics.with(|m| {
            let kind = kind.get()?;
            let quota = m
                .points
                .iter()
                .rev()
                .find_map(|p| p.processes.get(&kind))
                .map(|p| p.memory_quota)
                .filter(|q| *q > 0)?;
            Some((quota as f64, format!("R14 at {}", words::bytes(quota))))
        })
    });
    let cpu = Signal::derive(move || metrics.with(|m| vec![of_kind(m, "mean", "--c1", |p| p.cpu * 100.0)]));
    let queue = Signal::derive(move || metrics.with(|m| vec![series(m, "max", "--c1", |p| Some(p.queue_max as f64))]));
    let between = Memo::new(move |_| metrics.with(|m| (m.events.clone(), m.from, m.to)));
    view! {
        <section class="sec" aria-label="Events">
            <div class="sec-h">
                <h2>"Events"</h2>
                <span class="meta">{move || metrics.with(|m| format!("interval {}", words::short_span(m.step)))}</span>
                <Show when=move || { kinds.with(BTreeSet::len) > 1 }>
                    <span class="push row small">
                        <label for="kind">"Memory and CPU of"</label>
                        <select class="select" id="kind" on:change=move |ev| process.set(Some(event_target_value(&ev)))>
                            {move || kinds.get().into_iter().map(|k| { let on = kind.get().as_ref() == Some(&k); view! { <option value=k.clone() selected=on>{k.clone()}</option> } }).collect_view()}
                        </select>
                    </span>
                </Show>
            </div>
            <div style="margin-left:46px">{move || { let (events, from, to) = between.get(); view! { <Rail events from to/> } }}</div>
        </section>
        <div class="cols eq">
            <Chart title="Response time" unit="ms, the router's service time" series=times frame formatter=words::milliseconds/>
            <Chart title="Throughput" unit="requests per second" series=requests frame formatter=words::short_number stacked=true/>
            <Chart title="Memory" unit="per dyno, against its quota" series=memory frame formatter=|v| words::bytes(v as u64) bytes=true limit=quota/>
            <Chart title="CPU" unit="% of a core, per dyno" series=cpu frame formatter=|v| words::share(v / 100.0)/>
            <Chart title="Concurrent requests" unit="queued or running" series=queue frame formatter=words::short_number/>
        </div>
        <Errors app metrics/>
        <AsTable metrics/>
    }
    .into_any()
}

/// The log search for a code: a field in router lines, text in dyno lines.
fn lines_of(code: &str) -> String {
    let before = if code.starts_with('H') { "code%3D" } else { "Error%20" };
    format!("/logs?q={before}{code}")
}

#[component]
fn Errors(app: ThisApp, metrics: Signal<Metrics>) -> impl IntoView {
    let codes = Memo::new(move |_| {
        metrics.with(|m| {
            let codes: BTreeSet<&String> = m.points.iter().flat_map(|p| p.errors.keys()).collect();
            let when = |code: &String| -> Vec<f64> {
                let places = grid(&m.points, |p| p.at, m.from, m.to, m.step);
                let count = |i: usize| m.points[i].errors.get(code).map_or(0.0, |n| *n as f64);
                places.into_iter().map(|i| i.map_or(0.0, count)).collect()
            };
            codes.into_iter().map(|code| (code.clone(), when(code))).collect::<Vec<_>>()
        })
    });
    view! {
        <section class="sec">
            <h2>"Errors by code"</h2>
            <Show when=move || !codes.with(Vec::is_empty) fallback=|| view! { <p class="small dim">"None in this range."</p> }>
                <div class="tw"><table role="table" class="table">
                    <thead role="rowgroup"><tr role="row">
                        <th role="columnheader">"Code"</th><th role="columnheader">"Meaning"</th>
                        <th role="columnheader" style="width:38%">"When"</th><th role="columnheader" class="r">"Count"</th>
                        <th role="columnheader" class="act"><span class="vh">"Actions"</span></th>
                    </tr></thead>
                    <tbody role="rowgroup">
                        {move || codes.get().into_iter().map(|(code, when)| view! {
                            <tr role="row">
                                <td role="cell"><span class="chip bad mono">{code.clone()}</span></td>
                                <td role="cell">{codes::title(&code)}</td>
                                <td role="cell"><Spark values=when.clone() colour="--bad-dot"/></td>
                                <td role="cell" class="r strong" data-l="Count">{words::thousands(when.iter().sum::<f64>() as u64)}</td>
                                <td role="cell" class="act"><a class="btn sm gho" href=move || app.path(&lines_of(&code))>"Lines"</a></td>
                            </tr>
                        }).collect_view()}
                    </tbody>
                </table></div>
            </Show>
        </section>
    }
    .into_any()
}

/// The same numbers as a table, newest first.
#[component]
fn AsTable(metrics: Signal<Metrics>) -> impl IntoView {
    let open = RwSignal::new(false);
    let ms = |v: Option<f64>| v.map_or("–".into(), words::milliseconds);
    view! {
        <section class="sec">
            <div><button class="btn sm" type="button" aria-expanded=move || open.get().to_string() on:click=move |_| open.update(|o| *o = !*o)>
                {move || if open.get() { "Hide the table" } else { "Show as a table" }}
            </button></div>
            <Show when=move || open.get()>
                <div class="tw"><table role="table" class="table">
                    <thead role="rowgroup"><tr role="row">
                        <th role="columnheader">"Time, UTC"</th><th role="columnheader" class="r">"Requests"</th><th role="columnheader" class="r">"5xx"</th>
                        <th role="columnheader" class="r">"p50"</th><th role="columnheader" class="r">"p95"</th><th role="columnheader" class="r">"p99"</th>
                        <th role="columnheader">"Memory, max"</th>
                    </tr></thead>
                    <tbody role="rowgroup">
                        {move || metrics.get().points.into_iter().rev().take(500).map(|p| {
                            let memory: Vec<String> = p.processes.iter().map(|(k, x)| format!("{k} {}", words::bytes(x.memory_max))).collect();
                            let all = p.requests_2xx + p.requests_3xx + p.requests_4xx + p.requests_5xx;
                            view! {
                                <tr role="row">
                                    <td role="cell" class="w mono small">{words::exact(p.at)}</td>
                                    <td role="cell" class="r" data-l="Requests">{words::thousands(all)}</td>
                                    <td role="cell" class="r" data-l="5xx">{words::thousands(p.requests_5xx)}</td>
                                    <td role="cell" class="r" data-l="p50">{ms(p.p50_ms)}</td>
                                    <td role="cell" class="r" data-l="p95">{ms(p.p95_ms)}</td>
                                    <td role="cell" class="r" data-l="p99">{ms(p.p99_ms)}</td>
                                    <td role="cell">{memory.join(", ")}</td>
                                </tr>
                            }
                        }).collect_view()}
                    </tbody>
                </table></div>
            </Show>
        </section>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::lines_of;

    #[test]
    fn codes_link_to_their_log_lines() {
        assert_eq!(lines_of("H12"), "/logs?q=code%3DH12");
        assert_eq!(lines_of("R14"), "/logs?q=Error%20R14");
    }
}

//! The overview of an app: its state, traffic and last release.

use api::{
    dynos::DynoState,
    metrics::{MetricPoint, Metrics, MetricsQuery},
    platform::EventLine,
    releases::Release,
    statuses::AppStatus,
};
use chrono::{DateTime, Utc};
use leptos::{either::Either, prelude::*};
use pages_app::{
    app_frame::{ThisApp, is_deployed},
    dynos::{CrashCards, dyno_of, state_cells, usage_cells},
    metrics::{Range, refresh},
    rollback::RollbackButton,
};
use pages_create::FirstPush;
use ui::{
    clock::Clock,
    data::{client, fetched, refetched},
    nouns,
    parts::{Ago, Avatar, Each, LiveMark, Rail, Show, Spark},
    words,
};

/// `/apps/:app`
#[component]
pub fn OverviewPage() -> impl IntoView {
    let app = ThisApp::of_page();
    app.status.show(6, move |status| {
        // Decided when the page is opened, so that a first push stays visible until it has finished.
        let first = Memo::new(move |before: Option<&bool>| match before {
            Some(true) => true,
            _ => status.with(|s| !is_deployed(s)),
        });
        move || {
            if first.get() {
                Either::Left(view! { <FirstPush status/> })
            } else {
                Either::Right(view! { <Overview app status/> })
            }
        }
    })
}

#[component]
fn Overview(app: ThisApp, status: Signal<AppStatus>) -> impl IntoView {
    let release = Memo::new(move |_| status.with(|s| s.releases.iter().find(|r| r.current).cloned()));
    view! {
        <div class="page">
            <CrashCards app status most=2/>
            <Figures app/>
            <div class="cols">
                <div class="stack g6">
                    {move || release.get().map(|release| view! { <ReleaseCard app release status/> })}
                    <Processes app status/>
                </div>
                <aside class="stack g6" aria-label="Recent activity"><Recent app/></aside>
            </div>
        </div>
    }
    .into_any()
}

/// Totals of the last points, for the row of figures.
#[derive(Clone, PartialEq, Default)]
struct Totals {
    requests: Vec<f64>,
    p95: Vec<f64>,
    errors: Vec<f64>,
    memory: Vec<f64>,
    total: u64,
    failed: u64,
    last_p95: Option<f64>,
    last_memory: u64,
    quota: u64,
    per_second: f64,
}

fn requests(p: &MetricPoint) -> u64 {
    p.requests_2xx + p.requests_3xx + p.requests_4xx + p.requests_5xx
}

fn totals(metrics: &Metrics) -> Totals {
    let step = metrics.step.max(1) as f64;
    let mut totals = Totals::default();
    for p in &metrics.points {
        let (max, quota) = p.processes.values().fold((0, 0), |(m, q), x| (m.max(x.memory_max), q.max(x.memory_quota)));
        totals.requests.push(requests(p) as f64 / step);
        totals.p95.push(p.p95_ms.unwrap_or(0.0));
        totals.errors.push(p.requests_5xx as f64);
        totals.memory.push(max as f64);
        totals.total += requests(p);
        totals.failed += p.requests_5xx;
        totals.last_p95 = p.p95_ms.or(totals.last_p95);
        if max > 0 {
            (totals.last_memory, totals.quota) = (max, quota);
        }
        totals.per_second = requests(p) as f64 / step;
    }
    totals
}

#[component]
fn Figures(app: ThisApp) -> impl IntoView {
    let client = client();
    let clock = Clock::of_page();
    let refresh_client = client.clone();
    let metrics =
        fetched(move || app.name.get(), move |name: String| client.metrics_info(&name, &MetricsQuery::default()));
    refresh(app, RwSignal::new(Range::Last(1)), metrics, refresh_client);
    view! {
        <section class="sec" aria-label="Traffic">
            {metrics.show(2, move |metrics| {
                let totals = Memo::new(move |_| metrics.with(totals));
                // Before the creation of a new app there is nothing to see.
                let from = Memo::new(move |_| {
                    let created = app.status.get().map(|status| status.app.created_at);
                    metrics.with(|m| created.map_or(m.from, |created| created.clamp(m.from, m.to)))
                });
                let line = move |f: fn(&Totals) -> Vec<f64>| Signal::derive(move || totals.with(f));
                view! {
                    <div class="sec-h">
                        <h2>"The last hour"</h2>
                        <LiveMark/>
                        <a class="push small" href=move || app.path("/metrics")>"All metrics"</a>
                    </div>
                    <div class="card" style="overflow:hidden">
                        <div class="figs" style="border:0;border-radius:0">
                            <Figure label="Requests" line=line(|s| s.requests.clone()) colour="--c1"
                                value=Signal::derive(move || totals.with(|s| (words::short_number(s.per_second), "/s".into())))
                                detail=Signal::derive(move || totals.with(|s| format!("{} total", words::thousands(s.total))))/>
                            <Figure label="Response, p95" line=line(|s| s.p95.clone()) colour="--c1"
                                value=Signal::derive(move || totals.with(|s| s.last_p95.map_or_else(unknown, |ms| in_two(words::milliseconds(ms)))))
                                detail=Signal::derive(move || totals.with(|s| if s.last_p95.is_some() { "of the latest requests".into() } else { "no requests".to_owned() }))/>
                            <Figure label="Errors" line=line(|s| s.errors.clone()) colour="--bad-dot"
                                value=Signal::derive(move || totals.with(|s| in_two(words::rare(s.failed as f64 / s.total.max(1) as f64))))
                                detail=Signal::derive(move || totals.with(|s| format!("{} of {}", words::thousands(s.failed), words::thousands(s.total))))/>
                            <Figure label="Memory, max" line=line(|s| s.memory.clone()) colour="--c2"
                                value=Signal::derive(move || totals.with(|s| if s.quota == 0 { unknown() } else { in_two(words::share(s.last_memory as f64 / s.quota as f64)) }))
                                detail=Signal::derive(move || totals.with(|s| if s.quota == 0 { "not measured".into() } else { words::bytes_of(s.last_memory, s.quota) }))/>
                        </div>
                        <div style="padding:4px 16px 10px;border-top:1px solid var(--line)">
                            {move || metrics.with(|m| view! { <Rail events=m.events.clone() from=from.get() to=m.to/> })}
                            <div class="axis" aria-hidden="true">
                                <span>{move || words::clock_time(clock.local(from.get()))}</span>
                                <span>"now"</span>
                            </div>
                        </div>
                    </div>
                }
            })}
        </section>
    }
    .into_any()
}

fn unknown() -> (String, String) {
    ("–".into(), String::new())
}

/// Splits a text into number and unit.
fn in_two(text: String) -> (String, String) {
    text.split_once(' ').map(|(n, unit)| (n.to_owned(), unit.to_owned())).unwrap_or_default()
}

#[component]
fn Figure(
    label: &'static str,
    value: Signal<(String, String)>,
    detail: Signal<String>,
    line: Signal<Vec<f64>>,
    colour: &'static str,
) -> impl IntoView {
    view! {
        <div class="stack" style="gap:6px">
            <div class="fig">
                <span class="lab">{label}</span>
                <span class="v">{move || value.get().0}<small>{move || value.get().1}</small></span>
                <span class="d">{move || detail.get()}</span>
            </div>
            <Spark values=line colour=colour height=34/>
        </div>
    }
    .into_any()
}

#[component]
fn ReleaseCard(app: ThisApp, release: Release, status: Signal<AppStatus>) -> impl IntoView {
    let before = Memo::new(move |_| {
        status.with(|s| {
            let current = s.releases.iter().find(|r| r.current).map_or(i32::MAX, |r| r.version);
            s.releases.iter().find(|r| r.version < current && r.is_rollback_target()).map(|r| r.version)
        })
    });
    let id = release.id.get();
    let build = Memo::new(move |_| {
        status.with(|s| s.builds.iter().find(|b| b.release.is_some_and(|r| r.id == id)).map(|b| b.number))
    });
    let description = release.description.clone();
    let title = move || {
        let message = status.with(|s| {
            let build = s.builds.iter().find(|b| b.release.is_some_and(|r| r.id == id));
            build.and_then(|b| b.source_blob.version_description.clone())
        });
        message.unwrap_or_else(|| description.clone())
    };
    view! {
        <section class="sec">
            <div class="sec-h">
                <h2>{format!("Release v{}", release.version)}</h2>
                <span class="meta"><Ago at=release.created_at/>" by " {words::who(&release.user.email)}</span>
            </div>
            <div class="card">
                <div class="in stack g3">
                    <div class="row top-a g3">
                        <Avatar who=release.user.email.clone() large=true/>
                        <div style="min-width:0;flex:1">
                            <bdi class="strong" style="overflow-wrap:anywhere">{title}</bdi>
                            <div class="row wrap" style="gap:2px 12px">
                                {release.commit.as_deref().map(|c| view! { <span class="sha">{words::short_commit(c)}</span> })}
                                <span class="meta">{move || status.with(|s| s.app.slug_size).map(|n| format!("slug {}", words::bytes(n as u64)))}</span>
                                <span class="meta">{move || status.with(|s| s.app.buildpack_provided_description.clone())}</span>
                            </div>
                        </div>
                    </div>
                </div>
                <div class="ft">
                    <a href=move || app.path("/activity")>"All releases"</a>
                    {(release.version > 1).then(|| { let v = release.version; view! { <a href=move || app.path(&format!("/activity?compare=v{}..v{v}", v - 1))>"What changed"</a> } })}
                    {move || build.get().map(|n| view! { <a href=move || app.path(&format!("/builds/{n}"))>"Build log"</a> })}
                    <span class="push"></span>
                    {move || before.get().map(|version| view! { <RollbackButton app=app.name.get_untracked() version/> })}
                </div>
            </div>
        </section>
    }
    .into_any()
}

#[component]
fn Processes(app: ThisApp, status: Signal<AppStatus>) -> impl IntoView {
    let summary = move || {
        status.with(|s| {
            let up = s.dynos.iter().filter(|d| d.state == DynoState::Up).count();
            let versions = || s.dynos.iter().map(|d| d.release.version);
            match (versions().min(), versions().max()) {
                (Some(old), Some(new)) if old < new => format!("{up} running, on v{old} to v{new}"),
                (_, Some(version)) if up > 1 => format!("{up} running, all on v{version}"),
                (_, Some(version)) => format!("{up} running, on v{version}"),
                _ => "none running".into(),
            }
        })
    };
    let names = Memo::new(move |_| status.with(|s| s.dynos.iter().map(|d| d.name.clone()).collect::<Vec<_>>()));
    view! {
        <section class="sec">
            <div class="sec-h">
                <h2>"Processes"</h2>
                <span class="meta">{summary}</span>
                <a class="push small" href=move || app.path("/resources")>"Scale"</a>
            </div>
            <div class="card">
                <Show when=move || names.with(Vec::is_empty)>
                    <div class="in small dim">"Nothing is running. Scale a process type to start a dyno."</div>
                </Show>
                <Show when=move || !names.with(Vec::is_empty)>
                    <div class="tw">
                        <table role="table" class="table">
                            <thead role="rowgroup">
                                <tr role="row">
                                    <th role="columnheader">"Process"</th>
                                    <th role="columnheader">"State"</th>
                                    <th role="columnheader">"For"</th>
                                    <th role="columnheader">"Memory"</th>
                                    <th role="columnheader" class="r">"CPU"</th>
                                </tr>
                            </thead>
                            <tbody role="rowgroup">
                                <Each each=move || names.get() key=String::clone children=move |name| view! { <Process name status/> }/>
                            </tbody>
                        </table>
                    </div>
                </Show>
            </div>
        </section>
    }
    .into_any()
}

#[component]
fn Process(name: String, status: Signal<AppStatus>) -> impl IntoView {
    let clock = Clock::of_page();
    let dyno = dyno_of(status, name.clone());
    let since = move || {
        dyno.with(|d| d.as_ref().map(|d| d.updated_at))
            .map(|at: DateTime<Utc>| words::short_span((clock.now() - at).num_seconds()))
    };
    view! {
        <tr role="row">
            {state_cells(name.clone(), dyno)}
            <td role="cell" class="hide-s"><span class="dim">{since}</span></td>
            {usage_cells(&name, dyno)}
        </tr>
    }
    .into_any()
}

/// Events on the overview.
pub const RECENT: u32 = 8;

#[component]
fn Recent(app: ThisApp) -> impl IntoView {
    let client = client();
    let events =
        refetched(nouns::ANYTHING, move || app.name.get(), move |name: String| client.event_list_news(&name, RECENT));
    view! {
        <section class="sec">
            <div class="sec-h"><h2>"Recent activity"</h2><a class="push small" href=move || app.path("/activity")>"All"</a></div>
            {events.show(4, |events| view! {
                <ul class="list small">
                    {move || events.get().into_iter().map(|event: EventLine| view! {
                        <li class="row top-a">
                            <Avatar who=event.actor.clone()/>
                            <div style="min-width:0;flex:1">
                                <bdi style="overflow-wrap:anywhere">{event.summary.clone()}</bdi>
                                <div class="meta"><Ago at=event.at/></div>
                            </div>
                        </li>
                    }).collect_view()}
                </ul>
            })}
        </section>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_a_number_and_a_unit() {
        assert_eq!(in_two("830 ms".into()), ("830".into(), "ms".into()));
    }
}

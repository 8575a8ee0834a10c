//! All UI components on one page, for development. Only in development builds.

use api::{
    log_lines::{LogLevel, LogLine},
    metrics::MetricEvent,
};
use chrono::Duration;
use leptos::{either::Either, prelude::*};
use ui::{
    NotFoundPage,
    clock::Clock,
    parts::{
        ActButton, Ago, Avatar, Board, Cmd, ConfirmDialog, Crumb, Deck, Dialog, ErrorPanel, Glyph, Icon, LiveMark,
        Meter, PageHead, Rail, Skeleton, Spark, Stage, StageCard, Status, Toasts, Tone,
        chart::{self, Chart, Series},
        log,
    },
    words,
};

const ICONS: [&str; 24] = [
    "logo", "apps", "layers", "audit", "search", "plus", "down", "check", "x", "copy", "ext", "play", "pause",
    "rollback", "key", "eye", "sliders", "gauge", "term", "logs", "dl", "restart", "trash", "link",
];

/// `/parts`
#[component]
pub fn PartsPage() -> impl IntoView {
    if !cfg!(debug_assertions) {
        return Either::Left(NotFoundPage());
    }
    Either::Right(view! {
        <Deck title="Parts".to_owned() crumbs=vec![Crumb::here("Parts")]>
            <div class="page">
                <PageHead title=|| "Parts and states" sub=|| view! { <span>"The building blocks of the pages"</span><LiveMark/> }/>
                <Words/>
                <Tables/>
                <Forms/>
                <Time/>
                <Lines/>
                <Stages/>
                <Waiting/>
                <Dialogs/>
                <section class="sec">
                    <h2>"Icons"</h2>
                    <div class="row wrap g3">{ICONS.into_iter().map(|name| view! { <span title=name><Icon name size="i-l"/></span> }).collect_view()}</div>
                </section>
            </div>
        </Deck>
    })
}

#[component]
fn Words() -> impl IntoView {
    let now = Clock::of_page().now_untracked();
    let event = |hours: i64, kind: &str, text: &str| MetricEvent {
        label: None,
        at: now - Duration::hours(hours),
        kind: kind.into(),
        text: text.into(),
    };
    let events = vec![
        event(20, "release", "v214"),
        event(12, "crash", "web.2 crashed"),
        event(6, "config", "v217"),
        event(1, "scale", "2 to 3"),
    ];
    view! {
        <section class="sec">
            <h2>"Status"</h2>
            <div class="row wrap g3">
                <Status tone=Tone::Ok word="Up".to_owned()/>
                <Status tone=Tone::Busy word="Deploying".to_owned()/>
                <Status tone=Tone::Warn word="1 of 2 up".to_owned()/>
                <Status tone=Tone::Bad word="Crashed".to_owned()/>
                <Status tone=Tone::Idle word="Off".to_owned()/>
            </div>
            <div class="row wrap g3">
                <Avatar who="ada.lindqvist@example.com".to_owned()/>
                <Avatar who="admin@wharf.localhost".to_owned() large=true/>
                <Ago at=now - Duration::minutes(41)/>
                <Ago at=now - Duration::days(40)/>
            </div>
            <div style="max-width:240px" class="stack g2">
                <Meter label="A third" value=Signal::derive(|| 170.0) limit=Signal::derive(|| 512.0)/>
                <Meter label="Nearly full" value=Signal::derive(|| 460.0) limit=Signal::derive(|| 512.0)/>
                <Meter label="Full" value=Signal::derive(|| 512.0) limit=Signal::derive(|| 512.0)/>
                <Spark values=Signal::derive(|| vec![3.0, 5.0, 4.0, 9.0, 2.0, 6.0]) colour="--c1"/>
            </div>
            <Rail events from=now - Duration::hours(24) to=now/>
            <Cmd line="git push wharf main".to_owned()/>
        </section>
    }
    .into_any()
}

#[component]
fn Tables() -> impl IntoView {
    view! {
        <section class="sec">
            <h2>"Tabs and tables"</h2>
            <nav class="tabs" aria-label="An example">
                <a href="/parts" rel="external" aria-current="page">"Overview"</a>
                <a href="/parts" rel="external">"Activity"</a>
            </nav>
            <div class="card"><div class="tw"><table role="table" class="table">
                <thead role="rowgroup"><tr role="row">
                    <th role="columnheader">"Dyno"</th><th role="columnheader">"State"</th>
                    <th role="columnheader">"Last exit"</th><th role="columnheader" class="r">"Starts"</th>
                </tr></thead>
                <tbody role="rowgroup">
                    {[("web.1", Tone::Ok, "Up", "1"), ("worker.1", Tone::Bad, "Crashed", "12")].into_iter().map(|(name, tone, word, n)| view! {
                        <tr role="row">
                            <td role="cell" class="name mono small">{name}</td>
                            <td role="cell"><Status tone word=word.to_owned()/></td>
                            <td role="cell" class="w dim">"Process exited with status 1"</td>
                            <td role="cell" class="r" data-l="starts">{n}</td>
                        </tr>
                    }).collect_view()}
                </tbody>
            </table></div></div>
        </section>
    }
    .into_any()
}

#[component]
fn Forms() -> impl IntoView {
    let busy = RwSignal::new(false);
    view! {
        <section class="sec">
            <h2>"Forms"</h2>
            <form class="card"><div class="in stack g4">
                <div class="field">
                    <label for="part-name">"Name"</label>
                    <input class="input mono" id="part-name" value="Not A Name" aria-invalid="true" aria-describedby="part-hint"/>
                    <span class="hint" id="part-hint"><span class="t-bad">"A name has lower-case letters, digits and dashes."</span></span>
                </div>
                <div class="row wrap g3">
                    <div class="seg" role="group" aria-label="Theme">
                        <button type="button" aria-pressed="true">"System"</button>
                        <button type="button" aria-pressed="false">"Light"</button>
                    </div>
                    <select class="select" aria-label="Size"><option>"Standard-1X, 512 MB"</option></select>
                    <label class="check"><input type="checkbox" class="switch"/>"Compact rows"</label>
                    <ConfirmDialog verb="Remove" what="ada@example.com" effects=vec!["Loses access immediately".to_owned()] busy on_click=Callback::new(|()| ())/>
                </div>
            </div></form>
        </section>
    }
    .into_any()
}

#[component]
fn Time() -> impl IntoView {
    let now = Clock::of_page().now_untracked();
    let frame = chart::Frame {
        range: Signal::derive(move || (now - Duration::hours(1), now, 60)),
        events: Signal::derive(Vec::new),
        cross: RwSignal::new(None),
        zoom: Callback::new(|_| ()),
        lines: Callback::new(|_| ()),
    };
    let series = Signal::derive(|| {
        let values = (0..60).map(|i| (i != 20).then_some(f64::from((i * 37) % 50) + 100.0)).collect();
        vec![Series { name: "p95".into(), colour: "--c1", values }]
    });
    view! {
        <section class="sec">
            <h2>"Timeline and chart"</h2>
            <ol class="tl">
                <li class="now"><span class="g"><Glyph name="ok"/></span><div class="b"><b>"v12"</b>" Quicker invoices"</div></li>
                <li><span class="g"><Glyph name="bad"/></span><div class="b"><b>"Build 9"</b>" Does not compile"</div></li>
            </ol>
            <Chart title="Response time" unit="ms" series frame formatter=words::milliseconds/>
        </section>
    }
    .into_any()
}

#[component]
fn Lines() -> impl IntoView {
    let clock = Clock::of_page();
    let now = clock.now_untracked();
    let line = |seq, source: &str, dyno: &str, level, text: &str| LogLine {
        seq,
        at: now,
        source: source.into(),
        dyno: dyno.into(),
        text: text.into(),
        level,
    };
    let lines = [
        line(1, "app", "web.1", LogLevel::Info, "\u{1b}[32minfo\u{1b}[0m GET /invoices took 12 ms"),
        line(2, "heroku", "router", LogLevel::Info, "at=info method=GET path=\"/\" dyno=web.1 service=12ms status=200"),
        line(3, "app", "web.1", LogLevel::Error, "<script>alert(1)</script> KeyError: 'invoice'"),
    ];
    view! {
        <section class="sec">
            <h2>"Log"</h2>
            <div class="log" role="log" tabindex="0" aria-live="off" aria-label="An example"><ol>{lines.into_iter().map(|line| view! {
                <li>
                    <span class=log::rows::bar_class(&line)></span>
                    <time>{move || words::clock_millis(clock.local(now))}</time>
                    <span class=log::rows::source_class(&line)>{line.dyno.clone()}</span>
                    <span class="tx" inner_html=log::html(&line, |_| None)></span>
                </li>
            }).collect_view()}</ol></div>
        </section>
    }
    .into_any()
}

#[component]
fn Stages() -> impl IntoView {
    let names = ["Review", "Staging", "Production"].map(String::from).to_vec();
    view! {
        <section class="sec">
            <h2>"Board"</h2>
            <Board label="Stages" names>
                <Stage name="Review" meta="no apps".to_owned()>""</Stage>
                <Stage name="Staging" meta="2 apps".to_owned()>
                    <StageCard name="shop-staging" href="/parts#shop-staging" tone=Tone::Ok word="1 up".to_owned()><span class="meta">"v12, 41 min ago"</span></StageCard>
                    <StageCard name="mail-staging" href="/parts#mail-staging" tone=Tone::Bad word="Crashed".to_owned()><span class="meta">"v3, 2 h ago"</span></StageCard>
                </Stage>
                <Stage name="Production" meta="1 app".to_owned()>
                    <StageCard name="shop" href="/parts#shop" tone=Tone::Ok word="3 up".to_owned()><span class="meta">"v11, 2 d ago"</span></StageCard>
                </Stage>
            </Board>
        </section>
    }
    .into_any()
}

#[component]
fn Waiting() -> impl IntoView {
    let error = api::Error {
        request_id: Some("7d1f-22c0-b9e4".into()),
        ..api::Error::new(500, "internal", "The database did not answer within 5 s.")
    };
    view! {
        <section class="sec">
            <h2>"Loading, failed, empty"</h2>
            <div class="card"><div class="in"><Skeleton lines=3/></div></div>
            <ErrorPanel error retry=Some(Callback::new(|()| ()))/>
            <div class="empty"><span class="faint"><Icon name="logs" size="i-l"/></span><h3>"No log lines yet"</h3></div>
            <div class="notes">
                <div class="note bad"><Glyph name="bad"/><span><b>"web"</b>" has crashed"</span><a class="btn sm" href="/parts">"See why"</a></div>
                <div class="note warn"><Glyph name="warn"/><span><b>"docs"</b>" is running with one dyno fewer"</span></div>
            </div>
        </section>
    }
    .into_any()
}

#[component]
fn Dialogs() -> impl IntoView {
    let open = RwSignal::new(false);
    let toasts = Toasts::of_page();
    view! {
        <section class="sec">
            <h2>"Buttons, dialogs, toasts"</h2>
            <div class="row wrap">
                <ActButton class="btn pri".to_owned() busy=Signal::derive(|| false) on_click=Callback::new(move |()| open.set(true))>"Open a dialog"</ActButton>
                <button class="btn" type="button" on:click=move |_| toasts.done("v219 is released")>"Show success"</button>
                <button class="btn dgr" type="button" on:click=move |_| toasts.failed("web was not scaled", &api::Error::new(422, "invalid_params", "The machine has 0.4 GB free, 1 GB is needed."))>
                    "Show failure"
                </button>
            </div>
            <Dialog open title="Roll back to v217?".to_owned() body=|| view! {
                <ul class="effects"><li><Icon name="restart"/><span>"3 dynos restart, new ones first"</span></li></ul>
            } foot=move || view! { <button class="btn pri" type="button" on:click=move |_| open.set(false)>"Roll back to v217"</button> }/>
        </section>
    }
    .into_any()
}

//! All parts on one page, for whoever works on them. Only in development builds.

use api::metrics::MetricEvent;
use chrono::Duration;
use leptos::{either::Either, prelude::*};

use super::NotFoundPage;
use crate::{
    clock::Clock,
    parts::{
        ActButton, Ago, Avatar, Cmd, Crumb, Deck, Dialog, ErrorPanel, Glyph, Icon, LiveMark, Meter, PageHead, Rail,
        Skeleton, Spark, Status, Toasts, Tone,
    },
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
                <PageHead title=|| "Parts and states" sub=|| view! { <span>"What the pages are made of"</span><LiveMark/> }/>
                <Words/>
                <Waiting/>
                <Asking/>
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
fn Waiting() -> impl IntoView {
    let error = api::Error {
        request_id: Some("7d1f-22c0-b9e4".into()),
        ..api::Error::new(500, "internal", "The database did not answer within 5 s.")
    };
    view! {
        <section class="sec">
            <h2>"Loading, failed, empty"</h2>
            <div class="card"><div class="in"><Skeleton lines=3/></div></div>
            <ErrorPanel error again=Some(Callback::new(|()| ()))/>
            <div class="empty"><span class="faint"><Icon name="logs" size="i-l"/></span><h3>"Nothing was said yet"</h3></div>
            <div class="notes">
                <div class="note bad"><Glyph name="bad"/><span><b>"web"</b>" has crashed"</span><a class="btn sm" href="/parts">"See why"</a></div>
                <div class="note warn"><Glyph name="warn"/><span><b>"docs"</b>" runs with one dyno less"</span></div>
            </div>
        </section>
    }
    .into_any()
}

#[component]
fn Asking() -> impl IntoView {
    let open = RwSignal::new(false);
    let toasts = Toasts::of_page();
    view! {
        <section class="sec">
            <h2>"Buttons, dialogs, toasts"</h2>
            <div class="row wrap">
                <ActButton class="btn pri".to_owned() busy=Signal::derive(|| false) on_click=Callback::new(move |()| open.set(true))>"Open a dialog"</ActButton>
                <button class="btn" type="button" on:click=move |_| toasts.done("v219 is released")>"Say it is done"</button>
                <button class="btn dgr" type="button" on:click=move |_| toasts.failed("web was not scaled", &api::Error::new(422, "invalid_params", "The machine has 0.4 GB free, 1 GB is needed."))>
                    "Say it failed"
                </button>
            </div>
            <Dialog open title="Roll back to v217?".to_owned() body=|| view! {
                <ul class="effects"><li><Icon name="restart"/><span>"3 dynos restart, new ones first"</span></li></ul>
            } foot=move || view! { <button class="btn pri" type="button" on:click=move |_| open.set(false)>"Roll back to v217"</button> }/>
        </section>
    }
    .into_any()
}

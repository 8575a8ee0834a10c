//! The audit log: who changed what, newest first. The filter works without scripts.

use api::{
    client::query,
    platform::{Event, EventQuery},
    subjects::SubjectKind,
};
use leptos::{either::Either, prelude::*};
use leptos_router::hooks::use_query_map;
use ui::{
    clock::Clock,
    data::{client, refetched},
    nouns,
    parts::{ActButton, Avatar, Crumb, Deck, Each, Glyph, Icon, PageHead, Show, act},
    words,
};

/// Rows of one page.
const STEP: i64 = 100;

/// The filter in the query string.
fn looked_for() -> EventQuery {
    let map = use_query_map().get();
    let field = |name: &str| map.get(name).map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    EventQuery {
        actor: field("actor"),
        action: field("action"),
        app: field("app"),
        subject_kind: field("subject_kind"),
        subject_id: field("subject_id"),
        q: field("q"),
        since: field("since"),
        until: field("until"),
        before: field("before").and_then(|seq| seq.parse().ok()),
        max: None,
    }
}

/// `/audit`
#[component]
pub fn AuditPage() -> impl IntoView {
    let client = client();
    let events = refetched(nouns::ANYTHING, looked_for, move |wanted| {
        client.event_find(&EventQuery { max: Some(STEP), ..wanted })
    });
    let export = move || format!("/events/export{}", query(&EventQuery { before: None, ..looked_for() }));
    view! {
        <Deck title="Audit log".to_owned() crumbs=vec![Crumb::here("Audit log")]>
            <div class="page">
                <PageHead
                    title=|| "Audit log"
                    sub=|| view! { <Verified/> }
                    acts=move || view! { <a class="btn" rel="external" download="" href=export><Icon name="dl" size="i-s"/>"Export these events"</a> }
                />
                <Fields/>
                {events.show(8, |events| view! { <Events events/> })}
            </div>
        </Deck>
    }
    .into_any()
}

/// Verifies the hash chain on request.
#[component]
fn Verified() -> impl IntoView {
    let (busy, found) = (RwSignal::new(false), RwSignal::new(None::<(bool, String)>));
    let client = client();
    let verify = Callback::new(move |()| {
        let request = client.call::<serde_json::Value>("GET", "/events/verify".into(), None);
        act(busy, "Could not verify the log", request, move |verdict| {
            let message = verdict["message"].as_str().unwrap_or_default().to_owned();
            found.set(Some((verdict["broken_at"].is_null(), message)));
        });
    });
    view! {
        {move || match found.get() {
            None => Either::Left(view! { <span>"Every change, in a tamper-evident hash chain"</span> }),
            Some((holds, message)) => Either::Right(view! {
                <span class=if holds { "proof ok" } else { "proof bad" } role="status"><Glyph name=if holds { "seal" } else { "bad" }/><span>{message}</span></span>
            }),
        }}
        <ActButton class="btn gho sm".to_owned() busy on_click=verify><Icon name="shield" size="i-s"/>"Verify now"</ActButton>
    }
    .into_any()
}

/// A plain form: the filter is in the URL.
#[component]
fn Fields() -> impl IntoView {
    let now = looked_for();
    let field = |name: &'static str,
                 label: &'static str,
                 hint: &'static str,
                 kind: &'static str,
                 value: Option<String>| {
        view! {
            <div class="field" style="flex:1 1 140px">
                <label for=name>{label}</label>
                <input class="input sm" id=name name=name type=kind placeholder=hint value=value.unwrap_or_default()/>
            </div>
        }
    };
    view! {
        <form class="row wrap g3" style="align-items:flex-end" action="/audit" method="get" role="search" aria-label="Audit log">
            {field("actor", "Who", "ada@", "text", now.actor)}
            {field("app", "App", "booking-web", "text", now.app)}
            <Kinds chosen=now.subject_kind.unwrap_or_default()/>
            {field("action", "Action", "release.", "text", now.action)}
            {field("since", "From (UTC)", "", "date", now.since)}
            {field("until", "To (UTC)", "", "date", now.until)}
            {field("q", "Text", "anything", "search", now.q)}
            <button class="btn sm" type="submit"><Icon name="filter" size="i-s"/>"Filter"</button>
            <a class="btn gho sm" href="/audit" rel="external">"All"</a>
        </form>
    }
    .into_any()
}

/// The select for the kind of subject.
#[component]
fn Kinds(chosen: String) -> impl IntoView {
    let option = |kind: &SubjectKind| {
        let name = kind.as_str();
        view! { <option value=name selected=name == chosen>{describe(name)}</option> }
    };
    view! {
        <div class="field" style="flex:1 1 140px">
            <label for="subject_kind">"Kind of subject"</label>
            <select class="select sm" id="subject_kind" name="subject_kind">
                <option value="">"any"</option>
                {SubjectKind::ALL.iter().map(option).collect_view()}
            </select>
        </div>
    }
    .into_any()
}

fn describe(kind: &str) -> String {
    kind.replace('_', " ")
}

#[component]
fn Events(events: Signal<Vec<Event>>) -> impl IntoView {
    let older = move || {
        let last = events.with(|all| (all.len() as i64 == STEP).then(|| all.last().map(|e| e.seq)).flatten())?;
        Some(format!("/audit{}", query(&EventQuery { before: Some(last), ..looked_for() })))
    };
    view! {
        <div class="tw">
            <table role="table" class="table">
                <thead role="rowgroup"><tr role="row">
                    <th role="columnheader">"When"</th><th role="columnheader">"Who"</th><th role="columnheader">"What"</th>
                    <th role="columnheader">"Subject"</th><th role="columnheader">"Via"</th><th role="columnheader" class="r">"Hash"</th>
                </tr></thead>
                <tbody role="rowgroup">
                    <Each each=move || events.get() key=|e| e.seq let:event><EventRow event/></Each>
                </tbody>
            </table>
        </div>
        <Show when=move || events.with(Vec::is_empty)><p class="small dim">"No events match."</p></Show>
        {move || older().map(|to| view! { <div><a class="btn" href=to>"Show older"</a></div> })}
    }
    .into_any()
}

#[component]
fn EventRow(event: Event) -> impl IntoView {
    let clock = Clock::of_page();
    let at = event.at;
    let hash = event.hash.as_deref().map(|hash| hash.chars().take(8).collect::<String>());
    let from = [event.credential, event.address].into_iter().flatten().collect::<Vec<_>>().join(", ");
    view! {
        <tr role="row">
            <td role="cell" class="dim nowrap">
                <time datetime=at.to_rfc3339() title=words::exact(at)>{move || format!("{}, {}", words::date(at, clock), words::clock_time(clock.local(at)))}</time>
            </td>
            <td role="cell"><span class="row" style="gap:6px"><Avatar who=event.actor.clone()/>{words::who(&event.actor)}</span></td>
            <td role="cell" class="w">
                <span style="overflow-wrap:anywhere">{event.summary}</span>
                <div class="meta mono">{event.action}</div>
            </td>
            <td role="cell" class="mono small full-s" style="overflow-wrap:anywhere" data-l="subject">
                {event.subject}
                {event.subject_kind.map(|kind| view! { <div class="meta">{describe(&kind)}</div> })}
            </td>
            <td role="cell" class="meta full-s" style="overflow-wrap:anywhere" data-l="via">{from}</td>
            <td role="cell" class="sha r full-s" data-l="hash" title=event.hash>{hash}</td>
        </tr>
    }
    .into_any()
}

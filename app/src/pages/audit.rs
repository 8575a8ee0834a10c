//! The audit log: who changed what, newest first.

use api::platform::Event;
use leptos::prelude::*;

use crate::{
    clock::Clock,
    data::{asked, client},
    parts::{Avatar, Crumb, Deck, Icon, PageHead, dom},
    words,
};

/// Rows at first, and added with each step.
const STEP: usize = 100;

/// `/audit`
#[component]
pub fn AuditPage() -> impl IntoView {
    let client = client();
    let events = asked(|| (), move |()| client.event_list_all());
    view! {
        <Deck title="Audit log".to_owned() crumbs=vec![Crumb::here("Audit log")]>
            <div class="page">{events.show(8, |events| view! { <Events events/> })}</div>
        </Deck>
    }
    .into_any()
}

#[component]
fn Events(events: Signal<Vec<Event>>) -> impl IntoView {
    let text = RwSignal::new(String::new());
    let room = RwSignal::new(STEP);
    let fitting = Memo::new(move |_| {
        let wanted = text.get().to_lowercase();
        let fits = |e: &&Event| {
            wanted.is_empty()
                || [&e.actor, &e.action, &e.subject, &e.summary].iter().any(|s| s.to_lowercase().contains(&wanted))
        };
        events.with(|all| all.iter().filter(fits).cloned().collect::<Vec<_>>())
    });
    let shown = move || fitting.with(|all| all.iter().take(room.get()).cloned().collect::<Vec<Event>>());
    let export = move |_| {
        let lines: String = fitting
            .with_untracked(|all| all.iter().filter_map(|e| serde_json::to_string(e).ok()).map(|l| l + "\n").collect());
        dom::download("audit.jsonl", &lines);
    };
    view! {
        <PageHead
            title=|| "Audit log"
            sub=move || view! { <span>{move || words::count(events.with(Vec::len), "change", "changes")}</span> }
            acts=move || view! { <button class="btn" type="button" on:click=export><Icon name="dl" size="i-s"/>"Export these"</button> }
        />
        <div class="row wrap g3">
            <div class="affix" style="flex:0 1 320px">
                <label class="vh" for="q">"Filter the audit log"</label>
                <Icon name="search"/>
                <input class="input" id="q" type="search" data-find="" placeholder="Filter by person, app or action" prop:value=move || text.get() on:input=move |ev| text.set(event_target_value(&ev))/>
                <kbd aria-hidden="true">"/"</kbd>
            </div>
            <span class="meta" role="status">{move || (!text.with(String::is_empty)).then(|| format!("{} match", fitting.with(Vec::len)))}</span>
        </div>
        <div class="tw">
            <table role="table" class="table">
                <thead role="rowgroup"><tr role="row">
                    <th role="columnheader">"When"</th><th role="columnheader">"Who"</th><th role="columnheader">"What"</th>
                    <th role="columnheader">"Of"</th><th role="columnheader">"From"</th>
                </tr></thead>
                <tbody role="rowgroup">
                    <For each=shown key=|e| e.seq let:event><EventRow event/></For>
                </tbody>
            </table>
        </div>
        <Show when=move || fitting.with(Vec::is_empty)><p class="small dim">"No change fits."</p></Show>
        <Show when=move || { fitting.with(Vec::len) > room.get() }>
            <div><button class="btn" type="button" on:click=move |_| room.update(|n| *n += STEP)>"Show older"</button></div>
        </Show>
    }
    .into_any()
}

#[component]
fn EventRow(event: Event) -> impl IntoView {
    let clock = Clock::of_page();
    let at = event.at;
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
            <td role="cell" class="mono small">{event.subject}</td>
            <td role="cell" class="meta hide-s">{from}</td>
        </tr>
    }
    .into_any()
}

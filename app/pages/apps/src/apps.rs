//! All apps: is anything wrong, and what changed last?

use std::collections::HashMap;

use api::{
    client::{Page, read},
    ids::AppId,
    live::Topic,
    statuses::{AppSummary, Condition},
};
use leptos::{either::Either, prelude::*};
use ui::{
    data::{LiveData, client, cursor, fetched},
    live::{Live, Message},
    parts::{Ago, Avatar, Crumb, Deck, Each, Glyph, Icon, LiveMark, PageHead, Pager, Spark, Status, Tone, condition},
    words,
};

use super::first_run::FirstRun;

/// `/apps`
#[component]
pub fn AppsPage() -> impl IntoView {
    let client = client();
    let place = cursor(LIST);
    let apps: LiveData<Page<AppSummary>> =
        fetched(move || place.get(), move |after: Option<String>| client.app_summary_page(after.as_deref()));
    let live_apps = live_apps();
    view! {
        <Deck title="Apps".to_owned() crumbs=vec![Crumb::here("Apps")]>
            <div class="page" id=LIST>{apps.show(6, move |page| {
                let is_first = place.get_untracked().is_none();
                let apps = Memo::new(move |_| page.with(|page| live_apps.with(|live_apps| current(page, live_apps.as_deref(), is_first))));
                let is_part = Memo::new(move |_| !is_first || page.with(|p| p.next.is_some()));
                let next = Signal::derive(move || page.with(|p| p.next.clone()));
                view! { <Apps apps=apps.into() is_part next/> }
            })}</div>
        </Deck>
    }
    .into_any()
}

/// The list's name in the address.
const LIST: &str = "apps";

/// All apps, as received since the page was opened.
fn live_apps() -> RwSignal<Option<Vec<AppSummary>>> {
    let (live_apps, live) = (RwSignal::new(None), Live::of_page());
    Effect::new(move |_| {
        live.subscribe(Topic::Apps, move |message| {
            if let Message::Value(json) = message
                && let Ok(all) = read(json)
            {
                live_apps.try_set(Some(all));
            }
        });
    });
    live_apps
}

/// The current rows of a page. New apps are added only to a complete list: otherwise they
/// may belong to another page.
fn current(page: &Page<AppSummary>, live_apps: Option<&[AppSummary]>, is_first: bool) -> Vec<AppSummary> {
    match live_apps {
        None => page.items.clone(),
        Some(all) if is_first && page.next.is_none() => all.to_vec(),
        Some(all) => page.items.iter().filter_map(|row| all.iter().find(|app| app.id == row.id).cloned()).collect(),
    }
}

#[component]
fn Apps(apps: Signal<Vec<AppSummary>>, is_part: Memo<bool>, next: Signal<Option<String>>) -> impl IntoView {
    let none = Memo::new(move |_| apps.with(Vec::is_empty) && !is_part.get());
    move || {
        if none.get() {
            Either::Left(view! { <FirstRun/> })
        } else {
            Either::Right(view! { <List apps is_part next/> })
        }
    }
}

/// How urgently an app needs attention: lower is more urgent.
fn urgency(app: &AppSummary) -> u8 {
    match app.condition {
        Condition::Crashed => 0,
        Condition::Degraded => 1,
        Condition::Held => 2,
        Condition::Changing => 3,
        Condition::Maintenance => 4,
        Condition::Up => 5,
        Condition::Off => 6,
        Condition::Empty => 7,
        Condition::Unknown => 8,
    }
}

/// Attention first, then by traffic, then by name. Sorted once: rows keep their places while
/// the page is shown, and a new app comes first.
fn order(apps: &[AppSummary], before: Option<&Vec<AppId>>) -> Vec<AppId> {
    let place: HashMap<AppId, usize> = before.into_iter().flatten().enumerate().map(|(i, id)| (*id, i)).collect();
    let mut sorted: Vec<&AppSummary> = apps.iter().collect();
    match before {
        Some(_) => sorted.sort_by_key(|a| place.get(&a.id).map_or(0, |i| i + 1)),
        None => sorted.sort_by(|a, b| {
            let traffic = |app: &AppSummary| std::cmp::Reverse(app.traffic.iter().sum::<u64>());
            (urgency(a), traffic(a), &a.name).cmp(&(urgency(b), traffic(b), &b.name))
        }),
    }
    sorted.into_iter().map(|a| a.id).collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Filter {
    All,
    Attention,
    Up,
    Off,
}

impl Filter {
    fn admits(self, app: &AppSummary) -> bool {
        match self {
            Self::All => true,
            Self::Attention => matches!(app.condition, Condition::Crashed | Condition::Degraded | Condition::Held),
            Self::Up => matches!(app.condition, Condition::Up | Condition::Changing),
            Self::Off => matches!(app.condition, Condition::Off | Condition::Empty | Condition::Maintenance),
        }
    }
}

#[component]
fn List(apps: Signal<Vec<AppSummary>>, is_part: Memo<bool>, next: Signal<Option<String>>) -> impl IntoView {
    let text = RwSignal::new(String::new());
    let filter = RwSignal::new(Filter::All);
    let ordered = Memo::new(move |before: Option<&Vec<AppId>>| apps.with(|apps| order(apps, before)));
    let shown = Memo::new(move |_| {
        let wanted = text.get().to_ascii_lowercase();
        let fits = |a: &AppSummary| {
            filter.get().admits(a)
                && (wanted.is_empty()
                    || a.name.contains(&wanted)
                    || a.owner.to_ascii_lowercase().contains(&wanted)
                    || a.release.as_ref().is_some_and(|r| r.user.to_ascii_lowercase().contains(&wanted)))
        };
        let fitting: Vec<AppId> = apps.with(|apps| apps.iter().filter(|a| fits(a)).map(|a| a.id).collect());
        ordered.with(|all| all.iter().copied().filter(|id| fitting.contains(id)).collect::<Vec<_>>())
    });
    view! {
        <PageHead
            title=|| "Apps"
            sub=move || view! { <Counts apps is_part/> }
            acts=|| view! {
                <a class="btn pri" href="/apps/new"><Icon name="plus" size="i-s"/>"New app"</a>
            }
        />
        <Attention apps/>
        <section class="sec" aria-label="List of apps">
            <Filters apps is_part text filter/>
            <div class="tw">
                <table role="table" class="table apps">
                    <thead role="rowgroup">
                        <tr role="row">
                            <th role="columnheader">"App"</th>
                            <th role="columnheader">"State"</th>
                            <th role="columnheader">"Requests, 1 h"</th>
                            <th role="columnheader" class="r">"Req/min"</th>
                            <th role="columnheader" class="r">"p95"</th>
                            <th role="columnheader" class="r">"Errors"</th>
                            <th role="columnheader">"Last release"</th>
                        </tr>
                    </thead>
                    <tbody role="rowgroup">
                        <Each each=move || shown.get() key=|id| *id children=move |id| view! { <Row id apps/> }/>
                    </tbody>
                </table>
            </div>
            <p class="meta" role="status">
                {move || {
                    let (n, all) = (shown.with(Vec::len), apps.with(Vec::len));
                    let of = if is_part.get() { " on this page" } else { "" };
                    (n < all).then(|| format!("{n} of {}{of} shown.", words::count(all, "app", "apps")))
                }}
            </p>
            <Pager name=LIST what="apps" next/>
        </section>
    }
    .into_any()
}

#[component]
fn Counts(apps: Signal<Vec<AppSummary>>, is_part: Memo<bool>) -> impl IntoView {
    let counts = Memo::new(move |_| {
        apps.with(|apps| {
            let n = |f: fn(&Condition) -> bool| apps.iter().filter(|a| f(&a.condition)).count();
            [
                (Tone::Ok, n(|c| matches!(c, Condition::Up)), "up"),
                (Tone::Busy, n(|c| matches!(c, Condition::Changing)), "deploying"),
                (Tone::Warn, n(|c| matches!(c, Condition::Degraded)), "degraded"),
                (Tone::Warn, n(|c| matches!(c, Condition::Held)), "with a crashing release"),
                (Tone::Bad, n(|c| matches!(c, Condition::Crashed)), "crashed"),
                (Tone::Warn, n(|c| matches!(c, Condition::Maintenance)), "in maintenance"),
                (Tone::Idle, n(|c| matches!(c, Condition::Off | Condition::Empty)), "off"),
            ]
        })
    });
    view! {
        {move || is_part.get().then(|| view! { <span>"On this page:"</span> })}
        {move || counts.get().into_iter().filter(|(_, n, _)| *n > 0).map(|(tone, n, word)| view! {
            <span><Status tone=tone word=format!("{n} {word}")/></span>
        }).collect_view()}
        <LiveMark/>
    }
    .into_any()
}

/// What is wrong, with a link to it.
#[component]
fn Attention(apps: Signal<Vec<AppSummary>>) -> impl IntoView {
    let wrong = Memo::new(move |_| {
        apps.with(|apps| {
            let wrong = apps.iter().filter(|a| Filter::Attention.admits(a));
            wrong.map(|a| (a.name.clone(), a.condition, a.detail.clone())).take(3).collect::<Vec<_>>()
        })
    });
    move || {
        (!wrong.with(Vec::is_empty)).then(|| {
            view! {
                <section class="notes" aria-label="Needs attention">
                    {wrong.get().into_iter().map(|(name, condition, detail)| {
                        let tone = if condition == Condition::Crashed { Tone::Bad } else { Tone::Warn };
                        view! {
                            <div class=format!("note {}", tone.name())>
                                <Glyph name=tone.name()/>
                                <span><b>{name.clone()}</b>" " {detail}</span>
                                <a class="btn sm" href=format!("/apps/{name}/resources")>"See why"</a>
                            </div>
                        }
                    }).collect_view()}
                </section>
            }
        })
    }
}

#[component]
fn Filters(
    apps: Signal<Vec<AppSummary>>,
    is_part: Memo<bool>,
    text: RwSignal<String>,
    filter: RwSignal<Filter>,
) -> impl IntoView {
    let choices = [(Filter::All, "All"), (Filter::Attention, "Attention"), (Filter::Up, "Up"), (Filter::Off, "Off")];
    view! {
        <div class="row wrap g3">
            <div class="affix" style="flex:0 1 260px">
                <label class="vh" for="q">"Filter apps"</label>
                <Icon name="search"/>
                <input
                    class="input"
                    id="q"
                    type="search"
                    placeholder=move || if is_part.get() { "Filter this page" } else { "Filter by name or owner" }
                    data-find=""
                    prop:value=move || text.get()
                    on:input=move |ev| text.set(event_target_value(&ev))
                />
                <kbd aria-hidden="true">"/"</kbd>
            </div>
            <div class="seg" role="group" aria-label="State">
                {choices.into_iter().map(|(choice, word)| view! {
                    <button
                        type="button"
                        aria-pressed=move || (filter.get() == choice).to_string()
                        on:click=move |_| filter.set(choice)
                    >
                        {word}
                        <span class="n">{move || apps.with(|apps| apps.iter().filter(|a| choice.admits(a)).count())}</span>
                    </button>
                }).collect_view()}
            </div>
            <span class="push meta hide-p">{move || if is_part.get() { "Sorted by name; Ctrl K finds any app by the start of its name" } else { "Attention first, then by traffic" }}</span>
        </div>
    }
    .into_any()
}

#[component]
fn Row(id: AppId, apps: Signal<Vec<AppSummary>>) -> impl IntoView {
    let row = Memo::new(move |_| apps.with(|apps| apps.iter().find(|a| a.id == id).cloned()));
    (move || row.get().map(|app| view! { <tr role="row">{cells(app)}</tr> })).into_any()
}

/// The share of failed requests from which on it is shown.
const MANY: f64 = 0.001;

fn cells(app: AppSummary) -> AnyView {
    let (tone, word) = condition(app.condition, app.dynos_up, app.dynos_wanted);
    let (colour, detail) = match tone {
        Tone::Bad => ("--bad-dot", "t-bad"),
        Tone::Warn => ("--c1", "t-warn"),
        Tone::Idle => ("--c4", ""),
        _ => ("--c1", ""),
    };
    // Of the last two full minutes.
    let rate = app.traffic.iter().rev().nth(1).map(|n| words::short_number(*n as f64 / 2.0));
    let traffic: Vec<f64> = app.traffic.iter().map(|n| *n as f64).collect();
    let requests: u64 = app.traffic.iter().sum();
    let errors = (requests > 0).then(|| app.failed as f64 / requests as f64);
    let p95 = app.p95_ms.map(words::milliseconds);
    view! {
        <td role="cell" class="w">
            <a class="name" href=format!("/apps/{}", app.name)>{app.name.clone()}</a>
            <div class="meta clip"><span class=detail>{app.detail}</span></div>
        </td>
        <td role="cell"><Status tone word/></td>
        <td role="cell"><div style="width:120px">{(requests > 0).then(|| view! { <Spark values=traffic colour/> })}</div></td>
        <td role="cell" class="r hide-s" data-l="Req/min">{rate}</td>
        <td role="cell" class="r hide-s nowrap" data-l="p95">{p95}</td>
        <td role="cell" class="r hide-s nowrap" data-l="Errors">{errors.map(|part| view! {
            <span class=(part >= MANY).then_some("t-warn")>{words::rare(part)}</span>
        })}</td>
        <td role="cell" class="w dep">{app.release.map(|release| view! {
            <div class="row" style="gap:8px;min-width:0">
                <Avatar who=release.user/>
                <bdi class="clip" style="flex:1">{release.message.unwrap_or(release.description)}</bdi>
            </div>
            <div class="meta" style="padding-left:28px">{format!("v{} · ", release.version)}<Ago at=release.created_at/></div>
        })}</td>
    }
    .into_any()
}

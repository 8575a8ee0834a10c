//! Process types, their scale, and dynos.

use std::collections::BTreeMap;

use api::{
    dynos::{Dyno, DynoSize, DynoState},
    formation::{Formation, FormationBatchUpdate, FormationUpdate, Quantity},
    statuses::AppStatus,
};
use leptos::prelude::*;
use pages_app::{
    app_frame::{ThisApp, may},
    dynos::{CrashCards, RestartButton, dyno_of, state_cells, usage_cells},
};
use ui::{
    clock::Clock,
    data::{client, fetched},
    parts::{ActButton, Each, LiveMark, Show, Status, Toasts, Tone, act},
    words,
};

use super::one_offs::OneOffs;

/// Pending changes by process type: quantity and size.
type Changes = BTreeMap<String, (Option<i32>, Option<String>)>;

/// The process type of the release phase, which cannot be scaled.
const RELEASE: &str = "release";

/// `/apps/:app/resources`
#[component]
pub fn ResourcesPage() -> impl IntoView {
    let app = ThisApp::of_page();
    let client = client();
    let sizes = fetched(|| (), move |()| client.dyno_size_list());
    view! {
        <div class="page">
            {app.status.show(6, move |status| sizes.show(2, move |sizes| view! { <Resources app status sizes/> }))}
        </div>
    }
    .into_any()
}

#[component]
fn Resources(app: ThisApp, status: Signal<AppStatus>, sizes: Signal<Vec<DynoSize>>) -> impl IntoView {
    view! {
        <CrashCards app status most=usize::MAX/>
        <ProcessTypes app status sizes/>
        <Dynos app status/>
        <OneOffs app status/>
    }
    .into_any()
}

#[component]
fn ProcessTypes(app: ThisApp, status: Signal<AppStatus>, sizes: Signal<Vec<DynoSize>>) -> impl IntoView {
    let changes = RwSignal::new(Changes::new());
    let kinds = Memo::new(move |_| {
        status.with(|s| s.formation.iter().map(|f| f.kind.clone()).filter(|k| k != RELEASE).collect::<Vec<_>>())
    });
    let phase =
        Memo::new(move |_| status.with(|s| s.formation.iter().find(|f| f.kind == RELEASE).map(|f| f.command.clone())));
    let from = move || {
        status.with(|s| s.releases.iter().find(|r| r.current).map(|r| format!("from the Procfile of v{}", r.version)))
    };
    view! {
        <section class="sec">
            <div class="sec-h"><h2>"Process types"</h2><span class="meta">{from}</span></div>
            <Show
                when=move || !kinds.with(Vec::is_empty)
                fallback=|| view! { <div class="card"><p class="in small dim">"None yet. They come with the first deploy, from the Procfile or the buildpack."</p></div> }
            >
                <div class="card">
                    <div class="tw">
                        <table role="table" class="table">
                            <thead role="rowgroup">
                                <tr role="row">
                                    <th role="columnheader">"Type and command"</th>
                                    <th role="columnheader">"Running"</th>
                                    <th role="columnheader">"Size"</th>
                                    <th role="columnheader">"Count"</th>
                                    <th role="columnheader" class="r">"Memory"</th>
                                </tr>
                            </thead>
                            <tbody role="rowgroup">
                                <Each each=move || kinds.get() key=String::clone children=move |kind| view! { <ProcessType kind status sizes changes/> }/>
                            </tbody>
                        </table>
                    </div>
                    {move || phase.get().map(|command| view! {
                        <div class="ft">
                            <span class="chip line">"release"</span>
                            <span class="mono clip" style="font-size:11.5px" title=command.clone()>{command.clone()}</span>
                            <span class="push">"runs once before each release goes live"</span>
                        </div>
                    })}
                </div>
                <ApplyBar app status changes/>
            </Show>
        </section>
    }
    .into_any()
}

/// Bytes that a dyno of this size may use. Sizes are given in GB.
fn memory_of(sizes: &[DynoSize], size: &str) -> u64 {
    sizes.iter().find(|s| s.name.eq_ignore_ascii_case(size)).map_or(0, |s| (s.memory * 1024.0 * 1024.0 * 1024.0) as u64)
}

#[component]
fn ProcessType(
    kind: String,
    status: Signal<AppStatus>,
    sizes: Signal<Vec<DynoSize>>,
    changes: RwSignal<Changes>,
) -> impl IntoView {
    let kind = StoredValue::new(kind);
    let formation =
        Memo::new(move |_| status.with(|s| s.formation.iter().find(|f| kind.with_value(|k| f.kind == *k)).cloned()));
    let of = move |f: fn(&Formation) -> String| formation.with(|x| x.as_ref().map(f).unwrap_or_default());
    let scales = may(status, "scale");
    let now = move || formation.with(|f| f.as_ref().map_or(0, |f| f.quantity));
    let wanted = move || changes.with(|c| c.get(&kind.get_value()).and_then(|c| c.0)).unwrap_or_else(now);
    let size = move || {
        changes.with(|c| c.get(&kind.get_value()).and_then(|c| c.1.clone())).unwrap_or_else(|| of(|f| f.size.clone()))
    };
    let set_count = move |n: i32| {
        let change = Some(n.clamp(0, 100)).filter(|n| *n != now());
        changes.update(|c| {
            c.entry(kind.get_value()).or_default().0 = change;
            c.retain(|_, v| *v != (None, None));
        });
    };
    let set_size = move |name: String| {
        let change = Some(name).filter(|name| *name != of(|f| f.size.clone()));
        changes.update(|c| {
            c.entry(kind.get_value()).or_default().1 = change;
            c.retain(|_, v| *v != (None, None));
        });
    };
    let up = move || {
        status.with(|s| {
            s.dynos.iter().filter(|d| kind.with_value(|k| d.kind == *k) && d.state == DynoState::Up).count() as i32
        })
    };
    let crashed = move || {
        status.with(|s| s.dynos.iter().any(|d| kind.with_value(|k| d.kind == *k) && d.state == DynoState::Crashed))
    };
    let state = Memo::new(move |_| match (now(), up(), crashed()) {
        (0, _, _) => (Tone::Idle, "Off".to_owned()),
        (n, up, _) if up >= n => (Tone::Ok, format!("{up} up")),
        (n, up, true) => (Tone::Bad, format!("{up} of {n} up")),
        (n, up, false) => (Tone::Busy, format!("{up} of {n} up")),
    });
    let memory = move || match memory_of(&sizes.get(), &size()) * wanted().max(0) as u64 {
        0 => "none".to_owned(),
        n => words::bytes(n),
    };
    view! {
        <tr role="row" class:sel=move || changes.with(|c| c.contains_key(&kind.get_value()))>
            <td role="cell" class="w" style="width:38%">
                <span class="name mono small">{kind.get_value()}</span>
                <div class="meta mono clip" style="max-width:360px" title=move || of(|f| f.command.clone())>{move || of(|f| f.command.clone())}</div>
            </td>
            <td role="cell"><Status tone=Signal::derive(move || state.get().0) word=Signal::derive(move || state.get().1)/></td>
            <td role="cell">
                <select class="select" aria-label=format!("Size of {}", kind.get_value()) prop:disabled=move || !scales.get() prop:value=size on:change=move |ev| set_size(event_target_value(&ev))>
                    {move || sizes.get().into_iter().map(|s| {
                        let label = format!("{}, {}", s.name, words::bytes((s.memory * 1024.0 * 1024.0 * 1024.0) as u64));
                        let chosen = s.name.eq_ignore_ascii_case(&size());
                        view! { <option value=s.name selected=chosen>{label}</option> }
                    }).collect_view()}
                </select>
            </td>
            <td role="cell">
                <span class="stepper">
                    <button type="button" aria-label=format!("Decrease {}", kind.get_value()) prop:disabled=move || !scales.get() on:click=move |_| set_count(wanted() - 1)>"−"</button>
                    <input
                        inputmode="numeric"
                        aria-label=format!("Number of {}", kind.get_value())
                        prop:disabled=move || !scales.get()
                        prop:value=move || wanted().to_string()
                        value=untrack(now).to_string()
                        on:change=move |ev| set_count(event_target_value(&ev).trim().parse().unwrap_or_else(|_| now()))
                    />
                    <button type="button" aria-label=format!("Increase {}", kind.get_value()) prop:disabled=move || !scales.get() on:click=move |_| set_count(wanted() + 1)>"+"</button>
                </span>
            </td>
            <td role="cell" class="r dim hide-s" data-l="Memory">{memory}</td>
        </tr>
    }
    .into_any()
}

/// A description of the changes: `worker to 3`, `web to Standard-2X`.
fn describe(changes: &Changes) -> String {
    let one = |(kind, (count, size)): (&String, &(Option<i32>, Option<String>))| {
        let what: Vec<String> = count.map(|n| n.to_string()).into_iter().chain(size.clone()).collect();
        format!("{kind} to {}", what.join(" × "))
    };
    changes.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[component]
fn ApplyBar(app: ThisApp, status: Signal<AppStatus>, changes: RwSignal<Changes>) -> impl IntoView {
    let busy = RwSignal::new(false);
    let client = client();
    let toasts = Toasts::of_page();
    let apply = Callback::new(move |()| {
        let updates = changes.with_untracked(|c| {
            c.iter()
                .map(|(kind, (count, size))| FormationUpdate {
                    kind: Some(kind.clone()),
                    quantity: count.map(Quantity::To),
                    size: size.clone(),
                    dyno_size: None,
                })
                .collect()
        });
        let summary = changes.with_untracked(describe);
        let request = client.formation_batch_update(&app.name.get_untracked(), &FormationBatchUpdate { updates });
        act(busy, "Could not scale", request, move |formation| {
            changes.try_set(Changes::new());
            if let Some(mut now) = app.status.get() {
                now.formation = formation;
                app.status.put(now);
            }
            toasts.done(format!("Scaled: {summary}"));
        });
    });
    let effect = move || {
        let resized: i32 = changes.with(|c| {
            status.with(|s| {
                s.formation.iter().filter(|f| c.get(&f.kind).is_some_and(|c| c.1.is_some())).map(|f| f.quantity).sum()
            })
        });
        if resized > 0 {
            format!("restarts {}", words::count(resized as usize, "dyno", "dynos"))
        } else {
            "running dynos are not restarted".into()
        }
    };
    view! {
        <Show when=move || !changes.with(Changes::is_empty)>
            <div class="bulk float" role="region" aria-label="Unapplied changes">
                <span><b>{move || words::count(changes.with(Changes::len), "change", "changes")}": "</b>{move || changes.with(describe)}</span>
                <span class="meta">{effect}</span>
                <span class="push row">
                    <button class="btn gho sm" type="button" on:click=move |_| changes.set(Changes::new())>"Discard"</button>
                    <ActButton class="btn pri sm".to_owned() busy on_click=apply>"Apply"</ActButton>
                </span>
            </div>
        </Show>
    }
    .into_any()
}

#[component]
fn Dynos(app: ThisApp, status: Signal<AppStatus>) -> impl IntoView {
    let names = Memo::new(move |_| status.with(|s| s.dynos.iter().map(|d| d.name.clone()).collect::<Vec<_>>()));
    view! {
        <section class="sec">
            <div class="sec-h"><h2>"Dynos"</h2><LiveMark/></div>
            <Show
                when=move || !names.with(Vec::is_empty)
                fallback=|| view! { <div class="card"><p class="in small dim">"Nothing is running."</p></div> }
            >
                <div class="card"><div class="tw">
                    <table role="table" class="table">
                        <thead role="rowgroup">
                            <tr role="row">
                                <th role="columnheader">"Dyno"</th>
                                <th role="columnheader">"State"</th>
                                <th role="columnheader">"For"</th>
                                <th role="columnheader">"Memory"</th>
                                <th role="columnheader" class="r">"CPU"</th>
                                <th role="columnheader" class="r">"Starts"</th>
                                <th role="columnheader">"Last exit"</th>
                                <th role="columnheader">"Release"</th>
                                <th role="columnheader" class="act"><span class="vh">"Actions"</span></th>
                            </tr>
                        </thead>
                        <tbody role="rowgroup">
                            <Each each=move || names.get() key=String::clone children=move |name| view! { <DynoRow app name status/> }/>
                        </tbody>
                    </table>
                </div></div>
            </Show>
        </section>
    }
    .into_any()
}

#[component]
fn DynoRow(app: ThisApp, name: String, status: Signal<AppStatus>) -> impl IntoView {
    let clock = Clock::of_page();
    let dyno = dyno_of(status, name.clone());
    let of = move |f: fn(&Dyno) -> String| dyno.with(|d| d.as_ref().map(f).unwrap_or_default());
    let since =
        move || dyno.with(|d| d.as_ref().map(|d| d.updated_at)).map(|at| words::span((clock.now() - at).num_seconds()));
    view! {
        <tr role="row">
            {state_cells(name.clone(), dyno)}
            <td role="cell" data-l="for"><span class="dim nowrap">{since}</span></td>
            {usage_cells(&name, dyno)}
            <td role="cell" class="r" data-l="starts">{move || of(|d| d.starts.to_string())}</td>
            <td role="cell" class="w dim">{move || of(|d| d.last_exit.clone().unwrap_or_else(|| "no exit yet".into()))}</td>
            <td role="cell" class="hide-s"><span class="dim">{move || of(|d| format!("v{}", d.release.version))}</span></td>
            <td role="cell" class="act"><RestartButton app name word="Restart" class="btn gho sm"/></td>
        </tr>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_described() {
        let mut changes = Changes::new();
        changes.insert("web".into(), (None, Some("Standard-2X".into())));
        changes.insert("worker".into(), (Some(3), None));
        assert_eq!(describe(&changes), "web to Standard-2X, worker to 3");
    }
}

//! The one-off dynos of an app, beside those of its formation.

use api::{dynos::Dyno, statuses::AppStatus};
use leptos::prelude::*;
use pages_app::{app_frame::ThisApp, dynos::state_cells};
use ui::{
    clock::Clock,
    data::client,
    parts::{ActButton, Each, Show, Toasts, act},
    words,
};

/// Commands that somebody runs; hidden while there are none.
#[component]
pub fn OneOffs(app: ThisApp, status: Signal<AppStatus>) -> impl IntoView {
    let names = Memo::new(move |_| status.with(|s| s.one_offs.iter().map(|d| d.name.clone()).collect::<Vec<_>>()));
    view! {
        <Show when=move || !names.with(Vec::is_empty)>
            <section class="sec">
                <div class="sec-h"><h2>"One-off dynos"</h2><span class="meta">"commands that somebody runs"</span></div>
                <div class="card"><div class="tw">
                    <table role="table" class="table">
                        <thead role="rowgroup">
                            <tr role="row">
                                <th role="columnheader">"Dyno"</th>
                                <th role="columnheader">"State"</th>
                                <th role="columnheader">"For"</th>
                                <th role="columnheader">"Command"</th>
                                <th role="columnheader">"Size"</th>
                                <th role="columnheader" class="act"><span class="vh">"Actions"</span></th>
                            </tr>
                        </thead>
                        <tbody role="rowgroup">
                            <Each each=move || names.get() key=String::clone children=move |name| view! { <OneOffRow app name status/> }/>
                        </tbody>
                    </table>
                </div></div>
            </section>
        </Show>
    }
    .into_any()
}

#[component]
fn OneOffRow(app: ThisApp, name: String, status: Signal<AppStatus>) -> impl IntoView {
    let clock = Clock::of_page();
    let known = name.clone();
    let dyno = Memo::new(move |_| status.with(|s| s.one_offs.iter().find(|d| d.name == known).cloned()));
    let of = move |f: fn(&Dyno) -> String| dyno.with(|d| d.as_ref().map(f).unwrap_or_default());
    let since =
        move || dyno.with(|d| d.as_ref().map(|d| d.created_at)).map(|at| words::span((clock.now() - at).num_seconds()));
    view! {
        <tr role="row">
            {state_cells(name.clone(), dyno)}
            <td role="cell" data-l="for"><span class="dim nowrap">{since}</span></td>
            <td role="cell" class="w mono small">{move || of(|d| d.command.clone())}</td>
            <td role="cell" class="hide-s"><span class="dim">{move || of(|d| d.size.clone())}</span></td>
            <td role="cell" class="act"><StopButton app name/></td>
        </tr>
    }
    .into_any()
}

/// Stops a one-off dyno, with the permission to run or to scale.
#[component]
fn StopButton(app: ThisApp, name: String) -> impl IntoView {
    let busy = RwSignal::new(false);
    let (client, toasts) = (client(), Toasts::of_page());
    let name = StoredValue::new(name);
    let (runs, scales) = (app.may("run"), app.may("scale"));
    let stop = Callback::new(move |()| {
        let request = name.with_value(|n| client.dyno_stop(&app.name.get_untracked(), n));
        act(busy, format!("Could not stop {}", name.get_value()), request, move |_| {
            toasts.done(format!("{} is stopping", name.get_value()));
        });
    });
    view! {
        <Show when=move || runs.get() || scales.get()>
            <ActButton class="btn gho sm".to_owned() busy on_click=stop>
                "Stop"
                <span class="vh">" " {name.get_value()}</span>
            </ActButton>
        </Show>
    }
    .into_any()
}

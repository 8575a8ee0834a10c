//! Views of a dyno used by several pages: its state, usage, and why it crashed.

use api::{
    dynos::{Dyno, DynoState, DynoUsage},
    log_lines::{LogLevel, LogLine},
    statuses::AppStatus,
};
use leptos::prelude::*;
use ui::{
    clock::Clock,
    data::client,
    parts::{ActButton, Ago, Each, Glyph, Icon, Meter, Show, Status, Toasts, Tone, act, ansi},
    words,
};

use super::app_frame::ThisApp;

/// The tone and the label for the state of a dyno.
fn dyno_state(state: DynoState) -> (Tone, &'static str) {
    match state {
        DynoState::Starting => (Tone::Busy, "Starting"),
        DynoState::Up => (Tone::Ok, "Up"),
        DynoState::Idle => (Tone::Idle, "Idle"),
        DynoState::Crashed => (Tone::Bad, "Crashed"),
        DynoState::Down => (Tone::Idle, "Down"),
        DynoState::Unknown => (Tone::Idle, "Unknown"),
    }
}

/// The current state of the dyno `name`.
pub fn dyno_of(status: Signal<AppStatus>, name: String) -> Memo<Option<Dyno>> {
    Memo::new(move |_| status.with(|s| s.dynos.iter().find(|d| d.name == name).cloned()))
}

/// Two cells: the name of a dyno and its state.
pub fn state_cells(name: String, dyno: Memo<Option<Dyno>>) -> AnyView {
    let state = Memo::new(move |_| dyno.with(|d| d.as_ref().map_or((Tone::Idle, ""), |d| dyno_state(d.state))));
    view! {
        <td role="cell" class="name mono small">{name}</td>
        <td role="cell"><Status tone=Signal::derive(move || state.get().0) word=Signal::derive(move || state.get().1.to_owned())/></td>
    }
    .into_any()
}

/// Two cells: memory against its quota, and CPU as a share of a core. Empty until measured.
pub fn usage_cells(name: &str, dyno: Memo<Option<Dyno>>) -> AnyView {
    let label = format!("Memory of {name}");
    let usage =
        Memo::new(move |_| dyno.with(|d| d.as_ref().filter(|d| d.state == DynoState::Up).and_then(|d| d.usage)));
    let of = move |f: fn(&DynoUsage) -> f64| Signal::derive(move || usage.with(|u| u.as_ref().map_or(0.0, f)));
    let is_known = Memo::new(move |_| usage.with(Option::is_some));
    view! {
        <td role="cell" class="w" style="width:30%">
            <Show when=move || is_known.get()>
                <div class="row g3">
                    <div style="flex:1"><Meter label=label.clone() value=of(|u| u.memory as f64) limit=of(|u| u.memory_quota as f64)/></div>
                    <span class="meta nowrap" style="min-width:92px;text-align:right">{move || usage.with(|u| u.map(|u| words::bytes_of(u.memory, u.memory_quota)))}</span>
                </div>
            </Show>
        </td>
        <td role="cell" class="r hide-s" data-l="CPU"><span class="dim">{move || usage.with(|u| u.map(|u| words::share(u.cpu)))}</span></td>
    }
    .into_any()
}

/// A card for each crashed dyno, up to a maximum.
#[component]
pub fn CrashCards(app: ThisApp, status: Signal<AppStatus>, most: usize) -> impl IntoView {
    let crashed = Memo::new(move |_| {
        status.with(|s| {
            let crashed = s.dynos.iter().filter(|d| d.state == DynoState::Crashed);
            crashed.map(|d| d.name.clone()).take(most).collect::<Vec<_>>()
        })
    });
    view! { <Each each=move || crashed.get() key=String::clone children=move |name| view! { <CrashCard app name status/> }/> }
        .into_any()
}

#[component]
fn CrashCard(app: ThisApp, name: String, status: Signal<AppStatus>) -> impl IntoView {
    let clock = Clock::of_page();
    let dyno = dyno_of(status, name.clone());
    let next = move || dyno.with(|d| d.as_ref().and_then(|d| d.next_start_at));
    let wait = move || next().map(|at| words::span((at - clock.now()).num_seconds()));
    let lines = Memo::new(move |_| dyno.with(|d| d.as_ref().map(|d| d.last_lines.clone()).unwrap_or_default()));
    let id = format!("crash-{name}");
    let labelled = id.clone();
    let title = name.clone();
    let label = format!("Last log lines of {name}");
    view! {
        <section class="card" aria-labelledby=labelled style="border-color:var(--bad-dot)">
            <div class="in row top-a wrap g4">
                <div style="flex:1 1 320px;min-width:0" class="stack g2">
                    <div class="row wrap">
                        <h2 id=id style="font-size:var(--t-lead)">{title}" has crashed"</h2>
                        {move || dyno.with(|d| d.as_ref().and_then(|d| d.last_exit.clone())).map(|why| view! {
                            <span class="chip bad"><Glyph name="bad"/>{why}</span>
                        })}
                    </div>
                    <p class="dim small">
                        {move || dyno.with(|d| d.as_ref().map(|d| format!("{} since v{} was released; last crash ", words::count(d.starts.max(0) as usize, "start", "starts"), d.release.version)))}
                        {move || dyno.with(|d| d.as_ref().map(|d| view! { <Ago at=d.updated_at/> }))}
                        ". The delay doubles with every crash, up to 5 min."
                    </p>
                </div>
                <div class="fig xl" style="text-align:right;margin-left:auto">
                    <span class="lab">"Next restart"</span>
                    <span class="v">{move || wait().unwrap_or_else(|| "–".into())}</span>
                    <span class="d" title=move || next().map(words::exact)>{move || next().map(|at| format!("at {}", words::clock_seconds(clock.local(at))))}</span>
                </div>
            </div>
            <Show when=move || !lines.with(Vec::is_empty)>
                <div class="in" style="padding-top:0">
                    <div class="term" role="group" tabindex="0" aria-label=label.clone()>
                        <pre>{move || lines.get().iter().map(|line| last_line(line, clock)).collect_view()}</pre>
                    </div>
                </div>
            </Show>
            <div class="ft">
                <span>"A new release or a restart resets the delay."</span>
                <span class="push"></span>
                <a class="btn sm gho" href={ let name = name.clone(); move || app.path(&format!("/logs?dyno={name}")) }>"Logs of "{name.clone()}</a>
                <RestartButton app name=name word="Start now" class="btn sm pri"/>
            </div>
        </section>
    }
    .into_any()
}

fn last_line(line: &LogLine, clock: Clock) -> AnyView {
    let class = match line.level {
        LogLevel::Error => "e",
        LogLevel::Warn => "w",
        LogLevel::Info => "",
    };
    let at = words::clock_seconds(clock.local(line.at));
    view! { <span class="c">{at}" "</span><bdi class=class>{ansi::strip(&line.text)}</bdi>"\n" }.into_any()
}

/// Restarts one dyno, with the permission.
#[component]
pub fn RestartButton(app: ThisApp, name: String, word: &'static str, class: &'static str) -> impl IntoView {
    let busy = RwSignal::new(false);
    let client = client();
    let toasts = Toasts::of_page();
    let name = StoredValue::new(name);
    let scales = app.may("scale");
    let restart = Callback::new(move |()| {
        let request = name.with_value(|n| client.dyno_restart(&app.name.get_untracked(), n));
        act(busy, format!("Could not restart {}", name.get_value()), request, move |_| {
            toasts.done(format!("{} is restarting", name.get_value()));
        });
    });
    view! {
        <Show when=move || scales.get()>
            <ActButton class=class.to_owned() busy on_click=restart>
                <Icon name="restart" size="i-s"/>
                {word}
                <span class="vh">" " {name.get_value()}</span>
            </ActButton>
        </Show>
    }
    .into_any()
}

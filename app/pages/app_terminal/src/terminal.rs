//! A terminal: a command in a new dyno of the app, or inside a running one.
//!
//! The terminal itself is a script beside the WASM (`style/terminal.js`), loaded by this page only: it acts on elements
//! with the attribute `data-terminal`.

use std::collections::BTreeMap;

use api::{
    dynos::{Dyno, DynoCreate, DynoExec, DynoState, Window},
    statuses::AppStatus,
};
use leptos::prelude::*;
use pages_app::app_frame::{ThisApp, may};
use ui::{
    data::client,
    parts::{Each, Icon, Show, act},
};

/// Until the script knows how much fits into the page.
const WINDOW: Window = Window { columns: 80, rows: 24 };

/// `/apps/:app/terminal`
#[component]
pub fn TerminalPage() -> impl IntoView {
    let app = ThisApp::of_page();
    Effect::new(move |_| load_script());
    view! { <div class="page">{app.status.show(6, move |status| view! { <Terminal app status/> })}</div> }.into_any()
}

/// Loads the script of terminals, which is in the folder of the console's other scripts. A browser runs it once.
fn load_script() {
    let Ok(Some(link)) = document().query_selector("link[rel=modulepreload][href$='/console.js']") else { return };
    let Some(href) = link.get_attribute("href") else { return };
    if let (Ok(script), Ok(Some(head))) = (document().create_element("script"), document().query_selector("head")) {
        let _ = script.set_attribute("type", "module");
        let _ = script.set_attribute("src", &href.replace("/console.js", "/terminal.js"));
        let _ = head.append_child(&script);
    }
}

/// What programs that draw are told about the terminal.
fn environment() -> Option<BTreeMap<String, String>> {
    Some(BTreeMap::from([("TERM".to_owned(), "xterm-256color".to_owned())]))
}

#[component]
fn Terminal(app: ThisApp, status: Signal<AppStatus>) -> impl IntoView {
    let client = client();
    let busy = RwSignal::new(false);
    let (target, command) = (RwSignal::new(String::new()), RwSignal::new("bash".to_owned()));
    let opened = RwSignal::new(None::<Dyno>);
    let runs = may(status, "run");
    let up = Memo::new(move |_| {
        status.with(|s| {
            let up = s.dynos.iter().filter(|dyno| dyno.state == DynoState::Up);
            up.map(|dyno| dyno.name.clone()).collect::<Vec<_>>()
        })
    });
    let run = Callback::new(move |()| {
        let (name, command) = (app.name.get_untracked(), Some(command.get_untracked()));
        let (dyno, failed) = (target.get_untracked(), "Could not run the command");
        let env = environment();
        let then = move |dyno: Dyno| opened.set(Some(dyno));
        if dyno.is_empty() {
            let create = DynoCreate { command, env, attach: Some(true), window: Some(WINDOW), ..DynoCreate::default() };
            act(busy, failed, client.dyno_create(&name, &create), then);
        } else {
            let exec = DynoExec { command, env, window: Some(WINDOW), ..DynoExec::default() };
            act(busy, failed, client.dyno_exec(&name, &dyno, &exec), then);
        }
    });
    let path = move || opened.with(|dyno| dyno.as_ref().and_then(|dyno| dyno.terminal_path.clone()));
    view! {
        <section class="sec">
            <div class="sec-h"><h2>"Terminal"</h2><span class="meta">"with the code and the config vars of the app"</span></div>
            <Show
                when=move || runs.get()
                fallback=|| view! { <div class="card"><p class="in small dim">"Running commands requires the permission to deploy, because they can read the config vars."</p></div> }
            >
                <form class="row wrap g3" on:submit=move |ev| { ev.prevent_default(); run.run(()) }>
                    <div class="field">
                        <label for="run-in">"Run in"</label>
                        <select class="select" id="run-in" on:change=move |ev| target.set(event_target_value(&ev))>
                            <option value="">"A new dyno"</option>
                            <Each each=move || up.get() key=String::clone children=move |name: String| view! { <option value=name.clone()>{name.clone()}</option> }/>
                        </select>
                    </div>
                    <div class="field" style="flex:1 1 240px">
                        <label for="run-command">"Command"</label>
                        <input class="input mono" id="run-command" autocomplete="off" spellcheck="false" maxlength="10000"
                            value="bash" prop:value=move || command.get() on:input=move |ev| command.set(event_target_value(&ev))/>
                    </div>
                    <button class="btn pri" type="submit" style="margin-top:26px" aria-busy=move || busy.get().to_string()>
                        <Icon name="logs" size="i-s"/>
                        "Run"
                    </button>
                </form>
            </Show>
            <Show when=move || opened.with(Option::is_some)>
                <p class="meta" role="status">
                    {move || opened.with(|dyno| dyno.as_ref().map(|dyno| format!("{} ({})", dyno.name, dyno.size)))}
                    ". Leaving this page ends the command."
                </p>
                <div class="terminal" role="group" aria-label="Terminal" data-terminal=path></div>
            </Show>
        </section>
    }
    .into_any()
}

//! The command palette, which finds every page, app and action by a few letters; and the keyboard shortcuts of the
//! page.

use api::unavailable::instead_of;
use leptos::{ev, html, prelude::*};
use leptos_router::{
    NavigateOptions,
    hooks::{use_location, use_navigate},
};

use super::{Icon, Show, dom, theme};
use crate::data::client;

/// The dialogs opened by keys.
#[derive(Clone, Copy)]
pub struct Keyboard {
    palette: RwSignal<bool>,
    help: RwSignal<bool>,
}

/// Creates the page's palette and provides it through the context.
pub(super) fn provide() {
    provide_context(Keyboard { palette: RwSignal::new(false), help: RwSignal::new(false) });
}

/// Opens the palette.
#[component]
pub fn FindButton() -> impl IntoView {
    let Keyboard { palette, .. } = expect_context();
    view! {
        <button class="find" type="button" aria-keyshortcuts="Control+K" on:click=move |_| palette.set(true)>
            <Icon name="search"/>
            <span>"Search or run a command"</span>
            // Part of its accessible name, because it is part of the visible label.
            <kbd>"Ctrl K"</kbd>
        </button>
    }
    .into_any()
}

/// An entry.
#[derive(Clone, Debug, PartialEq)]
struct Choice {
    icon: &'static str,
    text: String,
    action: Action,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Go(String),
    Theme,
    Help,
}

fn go(icon: &'static str, text: impl Into<String>, to: impl Into<String>) -> Choice {
    Choice { icon, text: text.into(), action: Action::Go(to.into()) }
}

/// The pages of an app, with search terms.
const PAGES: [(&str, &str, &str); 7] = [
    ("pulse", "activity", "/activity"),
    ("sliders", "resources", "/resources"),
    ("logs", "logs", "/logs"),
    ("logs", "terminal", "/terminal"),
    ("gauge", "metrics", "/metrics"),
    ("key", "settings and config vars", "/settings"),
    ("apps", "overview", ""),
];

/// Whether each word of the input occurs anywhere.
fn choices(typed: &str, apps: &[String], here: Option<&str>, is_admin: bool) -> Vec<Choice> {
    let mut all = Vec::new();
    if let Some(app) = here {
        all.extend(
            PAGES.iter().map(|(icon, word, page)| go(icon, format!("{app}, {word}"), format!("/apps/{app}{page}"))),
        );
    }
    all.extend([
        go("apps", "Apps", "/apps"),
        go("plus", "New app", "/apps/new"),
        go("team", "Teams", "/teams"),
        go("user", "Account, tokens and sessions", "/account"),
        Choice { icon: "sun", text: "Switch light and dark".into(), action: Action::Theme },
        Choice { icon: "more", text: "Keyboard shortcuts".into(), action: Action::Help },
    ]);
    if is_admin {
        all.extend(super::visitor::ADMIN_PAGES.map(|(to, icon, text)| go(icon, text, to)));
    }
    for app in apps.iter().filter(|app| Some(app.as_str()) != here) {
        all.push(go("apps", app.clone(), format!("/apps/{app}")));
        if !typed.trim().is_empty() {
            // Its overview is already there.
            let pages = PAGES.iter().filter(|(.., page)| !page.is_empty());
            all.extend(
                pages.map(|(icon, word, page)| go(icon, format!("{app}, {word}"), format!("/apps/{app}{page}"))),
            );
        }
    }
    let words: Vec<String> = typed.to_ascii_lowercase().split_whitespace().map(str::to_owned).collect();
    all.retain(|choice| words.iter().all(|w| choice.text.to_ascii_lowercase().contains(w)));
    all.truncate(40);
    all
}

/// What to do instead of a command of Heroku's that Wharf does not have: `heroku domains:add www.example.com`.
fn instead(typed: &str) -> Option<String> {
    let command = typed.split_whitespace().find(|word| !matches!(*word, "heroku" | "wharf"))?;
    instead_of(command).map(|instead| format!("Wharf has no {command}. {instead}"))
}

/// The palette, the help, and the keys that open them.
#[component]
pub fn Palette() -> impl IntoView {
    let keyboard: Keyboard = expect_context();
    let navigate = use_navigate();
    let path = use_location().pathname;
    Effect::new(move |_| {
        let navigate = navigate.clone();
        let after_g = StoredValue::new(false);
        let handle = window_event_listener(ev::keydown, move |ev| {
            let here = app_of(&path.get_untracked());
            if keyed(&ev, keyboard, after_g, here.as_deref(), &|to: &str| navigate(to, NavigateOptions::default())) {
                ev.prevent_default();
            }
        });
        on_cleanup(move || handle.remove());
    });
    view! {
        <PaletteDialog keyboard/>
        <HelpDialog keyboard/>
    }
    .into_any()
}

/// The app of a path.
fn app_of(path: &str) -> Option<String> {
    let name = path.strip_prefix("/apps/")?.split('/').next()?;
    (!name.is_empty() && name != "new").then(|| name.to_owned())
}

/// Handles the shortcuts of every page. Returns whether the key was one of them.
fn keyed(
    ev: &ev::KeyboardEvent,
    keyboard: Keyboard,
    after_g: StoredValue<bool>,
    app: Option<&str>,
    to: &dyn Fn(&str),
) -> bool {
    let key = ev.key();
    if (ev.ctrl_key() || ev.meta_key()) && key.eq_ignore_ascii_case("k") {
        keyboard.palette.update(|open| *open = !*open);
        return true;
    }
    if ev.ctrl_key()
        || ev.meta_key()
        || ev.alt_key()
        || dom::typing()
        || keyboard.palette.get_untracked()
        || keyboard.help.get_untracked()
    {
        return false;
    }
    if after_g.get_value() {
        after_g.set_value(false);
        let page = match (key.as_str(), app) {
            ("a", _) => "/apps".to_owned(),
            ("o", Some(app)) => format!("/apps/{app}"),
            ("l", Some(app)) => format!("/apps/{app}/logs"),
            ("m", Some(app)) => format!("/apps/{app}/metrics"),
            ("r", Some(app)) => format!("/apps/{app}/resources"),
            ("s", Some(app)) => format!("/apps/{app}/settings"),
            ("v", Some(app)) => format!("/apps/{app}/activity"),
            ("p", _) => "/platform".to_owned(),
            _ => return false,
        };
        to(&page);
        return true;
    }
    match key.as_str() {
        "g" if !ev.default_prevented() => after_g.set_value(true),
        "?" => keyboard.help.set(true),
        "/" => dom::focus_in("main", "[data-find]"),
        "j" | "k" if !ev.default_prevented() => return dom::step_rows(if key == "j" { 1 } else { -1 }),
        _ => return false,
    }
    key != "g"
}

#[component]
fn PaletteDialog(keyboard: Keyboard) -> impl IntoView {
    let open = keyboard.palette;
    let element = NodeRef::<html::Dialog>::new();
    let input = NodeRef::<html::Input>::new();
    let typed = RwSignal::new(String::new());
    let at = RwSignal::new(0usize);
    let apps = RwSignal::new(Vec::<String>::new());
    let path = use_location().pathname;
    let super::Visitor(account) = expect_context();
    let is_admin = RwSignal::new(false);
    Effect::new(move |_| is_admin.set(account.get().is_some_and(|account| account.admin)));
    let (client, navigate) = (client(), use_navigate());
    // Searched by the platform by prefix; it returns only some of many apps.
    Effect::new(move |_| {
        let begun = typed.with(|typed| typed.split_whitespace().next().unwrap_or_default().to_ascii_lowercase());
        if !open.get() {
            return;
        }
        let request = client.app_find(&begun);
        leptos::task::spawn_local(async move {
            if let Ok(found) = request.await {
                let found: Vec<String> = found.into_iter().map(|app| app.name.to_string()).collect();
                apps.try_update(|known| {
                    known.extend(found);
                    known.sort();
                    known.dedup();
                });
            }
        });
    });
    let list = Memo::new(move |_| {
        apps.with(|apps| typed.with(|typed| choices(typed, apps, app_of(&path.get()).as_deref(), is_admin.get())))
    });
    Effect::new(move |_| {
        let (Some(dialog), wanted) = (element.get(), open.get()) else { return };
        if wanted && !dialog.open() {
            typed.set(String::new());
            at.set(0);
            let _ = dialog.show_modal();
            if let Some(input) = input.get_untracked() {
                let _ = input.focus();
            }
        } else if !wanted && dialog.open() {
            dialog.close();
        }
    });
    let run = Callback::new(move |choice: Choice| {
        open.set(false);
        match choice.action {
            Action::Go(to) => navigate(&to, NavigateOptions::default()),
            Action::Theme => theme::choose(Some(if theme::shown() == "dark" { "light" } else { "dark" })),
            Action::Help => keyboard.help.set(true),
        }
    });
    let keyed = move |ev: ev::KeyboardEvent| {
        let last = list.with_untracked(Vec::len).saturating_sub(1);
        match ev.key().as_str() {
            "ArrowDown" => at.update(|i| *i = if *i >= last { 0 } else { *i + 1 }),
            "ArrowUp" => at.update(|i| *i = if *i == 0 { last } else { *i - 1 }),
            "Enter" => {
                if let Some(choice) = list.with_untracked(|l| l.get(at.get_untracked()).cloned()) {
                    run.run(choice);
                }
            }
            _ => return,
        }
        ev.prevent_default();
        dom::reveal(&format!("po{}", at.get_untracked()));
    };
    view! {
        <dialog class="dialog palette" node_ref=element aria-label="Search or run a command" on:close=move |_| open.set(false)
            on:click=move |ev| if dom::is_backdrop(&ev) { open.set(false) }>
            <div class="in">
                <Icon name="search"/>
                <input
                    node_ref=input
                    role="combobox"
                    aria-expanded="true"
                    aria-controls="palette-list"
                    aria-activedescendant=move || format!("po{}", at.get())
                    aria-label="Search or run a command"
                    autocomplete="off"
                    spellcheck="false"
                    prop:value=move || typed.get()
                    on:input=move |ev| { typed.set(event_target_value(&ev)); at.set(0); }
                    on:keydown=keyed
                />
                <kbd>"Esc"</kbd>
            </div>
            <Results list at run instead=Signal::derive(move || typed.with(|typed| instead(typed)))/>
        </dialog>
    }
    .into_any()
}

/// The matching entries.
#[component]
fn Results(
    list: Memo<Vec<Choice>>,
    at: RwSignal<usize>,
    run: Callback<Choice>,
    instead: Signal<Option<String>>,
) -> impl IntoView {
    view! {
        <div role="listbox" id="palette-list" aria-label="Results" tabindex="-1">
            {move || list.get().into_iter().enumerate().map(|(i, choice)| {
                let (icon, text) = (choice.icon, choice.text.clone());
                view! {
                    <div role="option" id=format!("po{i}") aria-selected=move || (at.get() == i).to_string()
                        on:click=move |_| run.run(choice.clone()) on:pointermove=move |_| if at.get_untracked() != i { at.set(i) }>
                        <Icon name=icon/>
                        <span class="clip">{text}</span>
                    </div>
                }
            }).collect_view()}
            {move || instead.get().map(|text| view! { <p class="small" role="status" style="padding:8px">{text}</p> })}
            <Show when=move || list.with(Vec::is_empty) && instead.with(Option::is_none)><p class="small dim" style="padding:8px">"No results."</p></Show>
        </div>
    }
    .into_any()
}

const HELP: [(&str, &str); 13] = [
    ("Ctrl K", "Search or run a command"),
    ("/", "Search this page"),
    ("?", "Show shortcuts"),
    ("G A", "Apps"),
    ("G O", "Overview of the app"),
    ("G V", "Activity of the app"),
    ("G R", "Resources of the app"),
    ("G L", "Log of the app"),
    ("G M", "Metrics of the app"),
    ("G S", "Settings of the app"),
    ("J K", "Next / previous row"),
    ("Space N G", "In the log: pause, next problem, newest"),
    ("← → E", "In a chart: move, next event"),
];

#[component]
fn HelpDialog(keyboard: Keyboard) -> impl IntoView {
    let open = keyboard.help;
    let element = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let (Some(dialog), wanted) = (element.get(), open.get()) else { return };
        if wanted && !dialog.open() {
            let _ = dialog.show_modal();
        } else if !wanted && dialog.open() {
            dialog.close();
        }
    });
    view! {
        <dialog class="dialog" node_ref=element aria-label="Keyboard shortcuts" on:close=move |_| open.set(false)
            on:click=move |ev| if dom::is_backdrop(&ev) { open.set(false) }>
            <div class="dh"><h2>"Keyboard shortcuts"</h2></div>
            <div class="bd">
                <dl class="kv left">
                    {HELP.into_iter().map(|(keys, what)| view! {
                        <dt class="row" style="gap:4px">{keys.split(' ').map(|k| view! { <kbd>{k}</kbd> }).collect_view()}</dt>
                        <dd>{what}</dd>
                    }).collect_view()}
                </dl>
            </div>
            <div class="dt"><span class="push"></span><button class="btn" type="button" on:click=move |_| open.set(false)>"Close"</button></div>
        </dialog>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_is_taken_from_the_path() {
        assert_eq!(app_of("/apps/shop/logs").as_deref(), Some("shop"));
        assert_eq!(app_of("/apps/new"), None);
        assert_eq!(app_of("/platform"), None);
    }

    #[test]
    fn a_command_that_only_heroku_has_is_explained() {
        let said = instead("heroku domains:add www.example.com").unwrap();
        assert!(said.starts_with("Wharf has no domains:add. Custom domains"), "{said}");
        assert_eq!((instead(""), instead("wharf"), instead("shop logs")), (None, None, None));
    }

    #[test]
    fn pages_of_administrators_are_offered_to_them_alone() {
        for (to, _, text) in super::super::visitor::ADMIN_PAGES {
            let offered = |is_admin| {
                let found = choices(text, &[], None, is_admin);
                found.iter().any(|choice| matches!(&choice.action, Action::Go(target) if target == to))
            };
            assert_eq!((offered(false), offered(true)), (false, true), "{text}");
        }
    }

    #[test]
    fn every_word_has_to_match() {
        let found = choices("shop log", &[], Some("shop"), false);
        assert_eq!(found.iter().map(|c| c.text.as_str()).collect::<Vec<_>>(), ["shop, logs"]);
        // Each page of another app, too.
        for (_, word, _) in PAGES.iter().filter(|(.., page)| !page.is_empty()) {
            let found = choices(&format!("shop {word}"), &["shop".to_owned()], None, false);
            assert_eq!(found.iter().map(|c| c.text.clone()).collect::<Vec<_>>(), [format!("shop, {word}")]);
        }
    }
}

//! Config vars: hidden until revealed, several edits saved as one release.

use std::collections::BTreeSet;

use api::{
    config_vars::{ConfigVars, ConfigVarsUpdate},
    dotenv,
};
use leptos::{either::Either, prelude::*};
use pages_app::app_frame::ThisApp;
use ui::{
    data::{client, refetched},
    parts::{ActButton, Each, Icon, Show, Toasts, act, dom},
    words,
};

/// Unsaved edits: a value sets, `None` unsets.
type Edits = RwSignal<ConfigVarsUpdate>;

/// State shared by the rows.
#[derive(Clone, Copy)]
struct Editor {
    saved: RwSignal<ConfigVars>,
    edits: Edits,
    revealed: RwSignal<BTreeSet<String>>,
    /// Whether the user may change them, which creates a release.
    changes: Memo<bool>,
}

impl Editor {
    fn edit(self, key: &str, value: Option<String>) {
        let same = self.saved.with_untracked(|s| s.get(key).cloned()) == value;
        self.edits.update(|edits| {
            if same {
                edits.remove(key);
            } else {
                edits.insert(key.to_owned(), value);
            }
        });
    }

    /// All keys that are saved or new, in order.
    fn keys(self) -> Vec<String> {
        let mut keys: BTreeSet<String> = self.saved.with(|s| s.keys().cloned().collect());
        self.edits.with(|e| keys.extend(e.keys().cloned()));
        keys.into_iter().collect()
    }

    /// The vars as they would be after saving.
    fn result(self) -> ConfigVars {
        let mut vars = self.saved.get();
        for (key, value) in self.edits.get() {
            match value {
                Some(value) => vars.insert(key, value),
                None => vars.remove(&key),
            };
        }
        vars
    }
}

/// The section with its data.
#[component]
pub fn ConfigVarsSection(app: ThisApp, changes: Memo<bool>) -> impl IntoView {
    let client = client();
    let vars = refetched(
        &["config_vars", "release", "app"],
        move || app.name.get(),
        move |name: String| client.config_vars_info(&name),
    );
    view! {
        <section class="sec" id="config" aria-labelledby="config-h">
            {vars.show(5, move |vars| {
                let editor = Editor {
                    saved: RwSignal::new(vars.get_untracked()),
                    edits: RwSignal::new(ConfigVarsUpdate::new()),
                    revealed: RwSignal::new(BTreeSet::new()),
                    changes,
                };
                // Changes saved by others; edits on this page are kept.
                Effect::new(move |_| editor.saved.set(vars.get()));
                view! { <Vars app editor/> }
            })}
        </section>
    }
    .into_any()
}

#[component]
fn Vars(app: ThisApp, editor: Editor) -> impl IntoView {
    let as_text = RwSignal::new(false);
    let all_revealed =
        move || editor.saved.with(|s| !s.is_empty() && editor.revealed.with(|r| s.keys().all(|k| r.contains(k))));
    let reveal_all = move |_| {
        let keys = if all_revealed() { BTreeSet::new() } else { editor.saved.with(|s| s.keys().cloned().collect()) };
        editor.revealed.set(keys);
    };
    let size = move || {
        editor.saved.with(|s| {
            let bytes: usize = s.iter().map(|(k, v)| k.len() + v.len()).sum();
            format!("{}, {} of 64 KB", words::count(s.len(), "key", "keys"), words::bytes(bytes as u64))
        })
    };
    view! {
        <div class="sec-h">
            <h2 id="config-h" style="font-size:var(--t-lead)">"Config vars"</h2>
            <span class="meta">{size}</span>
            <span class="push row wrap">
                <span class="seg" role="group" aria-label="View">
                    <button type="button" aria-pressed=move || (!as_text.get()).to_string() on:click=move |_| as_text.set(false)>"List"</button>
                    <button type="button" aria-pressed=move || as_text.get().to_string() on:click=move |_| as_text.set(true)>".env text"</button>
                </span>
                <Show when=move || !as_text.get() && !editor.saved.with(ConfigVars::is_empty)>
                    <button class="btn sm" type="button" on:click=reveal_all>
                        <Icon name="eye" size="i-s"/>
                        {move || if all_revealed() { "Hide all" } else { "Reveal all" }}
                    </button>
                </Show>
            </span>
        </div>
        {move || if as_text.get() { Either::Left(view! { <AsText editor/> }) } else { Either::Right(view! { <AsList editor/> }) }}
        <SaveBar app editor/>
    }
    .into_any()
}

#[component]
fn AsList(editor: Editor) -> impl IntoView {
    let keys = Memo::new(move |_| editor.keys());
    view! {
        <div class="card">
            <Show
                when=move || !keys.with(Vec::is_empty)
                fallback=|| view! { <p class="in small dim">"No config vars yet. Dynos get them as environment variables."</p> }
            >
                <div class="tw">
                    <table role="table" class="table">
                        <thead role="rowgroup">
                            <tr role="row">
                                <th role="columnheader">"Key"</th>
                                <th role="columnheader">"Value"</th>
                                <th role="columnheader"><span class="vh">"Change"</span></th>
                                <th role="columnheader" class="act"><span class="vh">"Actions"</span></th>
                            </tr>
                        </thead>
                        <tbody role="rowgroup">
                            <Each each=move || keys.get() key=String::clone children=move |key| view! { <VarRow key_name=key editor/> }/>
                        </tbody>
                    </table>
                </div>
            </Show>
            <Show
                when=move || editor.changes.get()
                fallback=|| view! { <p class="ft small dim">"Read-only: changing them requires deploy access."</p> }
            >
                <AddRow editor/>
            </Show>
        </div>
    }
    .into_any()
}

#[component]
fn VarRow(key_name: String, editor: Editor) -> impl IntoView {
    let key = StoredValue::new(key_name);
    let name = move || key.get_value();
    let saved = Memo::new(move |_| editor.saved.with(|s| s.get(&key.get_value()).cloned()));
    let edit = Memo::new(move |_| editor.edits.with(|e| e.get(&key.get_value()).cloned()));
    let revealed = Memo::new(move |_| editor.revealed.with(|r| r.contains(&key.get_value())));
    let value = move || match edit.get() {
        Some(Some(value)) => value,
        _ => saved.get().unwrap_or_default(),
    };
    let open = Memo::new(move |_| !matches!(edit.get(), Some(None)) && (revealed.get() || edit.get().is_some()));
    let toggle = move |_| {
        editor.revealed.update(|r| {
            if !r.remove(&key.get_value()) {
                r.insert(key.get_value());
            }
        })
    };
    let undo = move |_| {
        editor.edits.update(|e| {
            e.remove(&key.get_value());
        })
    };
    view! {
        <tr role="row" class:sel=move || edit.get().is_some()>
            <td role="cell" class="w" style="width:34%"><span class="mono small name" style="overflow-wrap:anywhere">{name()}</span></td>
            <td role="cell" class="w" style="width:44%">
                {move || if open.get() {
                    Either::Left(view! {
                        <input
                            class="input mono"
                            aria-label=format!("Value of {}", name())
                            autocomplete="off"
                            spellcheck="false"
                            readonly=move || !editor.changes.get()
                            prop:value=value
                            on:input=move |ev| editor.edit(&name(), Some(event_target_value(&ev)))
                        />
                    })
                } else {
                    Either::Right(view! { <span class="mono faint" role="img" aria-label="hidden value">"••••••••••••"</span> })
                }}
            </td>
            <td role="cell">
                {move || match (edit.get(), saved.get()) {
                    (Some(None), _) => Some(view! { <span class="chip bad">"removed"</span> }),
                    (Some(Some(_)), None) => Some(view! { <span class="chip ok">"added"</span> }),
                    (Some(Some(_)), Some(_)) => Some(view! { <span class="chip warn">"changed"</span> }),
                    (None, _) => None,
                }}
            </td>
            <td role="cell" class="act">
                <span class="row" style="gap:2px;justify-content:flex-end">
                    {move || if edit.get().is_some() {
                        Either::Left(view! { <button class="btn gho sm" type="button" on:click=undo>"Undo"<span class="vh">" the change of "{name()}</span></button> })
                    } else {
                        Either::Right(view! {
                            <button class="btn gho sm ico" type="button" aria-pressed=move || revealed.get().to_string() aria-label=format!("Reveal {}", name()) on:click=toggle>
                                <Icon name="eye" size="i-s"/>
                            </button>
                            <Show when=move || editor.changes.get()>
                                <button class="btn gho sm ico" type="button" aria-label=format!("Remove {}", name()) on:click=move |_| editor.edit(&name(), None)>
                                    <Icon name="trash" size="i-s"/>
                                </button>
                            </Show>
                        })
                    }}
                </span>
            </td>
        </tr>
    }
    .into_any()
}

/// A new key; pasted lines of `KEY=value` become separate edits.
#[component]
fn AddRow(editor: Editor) -> impl IntoView {
    let app = ThisApp::of_page();
    let (key, value) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let wrong = RwSignal::new(String::new());
    let add = move |ev: leptos::ev::SubmitEvent| {
        ev.prevent_default();
        let name = key.get_untracked().trim().to_owned();
        if let Err(why) = dotenv::check_key(&name) {
            wrong.set(why);
            return;
        }
        editor.edit(&name, Some(value.get_untracked()));
        key.set(String::new());
        value.set(String::new());
        ui::parts::dom::focus_in("config", "#new-key");
    };
    let pasted = move |ev: leptos::ev::Event| {
        let text = event_target_value(&ev);
        wrong.set(String::new());
        match text.split_once('=') {
            Some((name, rest)) if dotenv::check_key(name.trim()).is_ok() => {
                key.set(name.trim().to_owned());
                value.set(rest.trim().trim_matches('"').to_owned());
                // Immediately, so that what is typed after the `=` goes into the value.
                if let Some(field) = dom::by_id("new-value") {
                    let _ = field.focus();
                }
            }
            _ => key.set(text),
        }
    };
    view! {
        <form class="ft" method="post" action=move || format!("/forms/apps/{}/config-vars", app.name.get()) on:submit=add>
            <div class="row wrap" style="flex:1">
                <label class="vh" for="new-key">"New key"</label>
                <input class="input mono sm" style="flex:1 1 150px" id="new-key" name="key" placeholder="KEY or KEY=value" autocomplete="off" spellcheck="false"
                    aria-describedby="new-key-why" aria-invalid=move || (!wrong.with(String::is_empty)).to_string() prop:value=move || key.get() on:input=pasted/>
                <label class="vh" for="new-value">"New value"</label>
                <input class="input mono sm" style="flex:2 1 200px" id="new-value" name="value" placeholder="value" autocomplete="off" spellcheck="false"
                    prop:value=move || value.get() on:input=move |ev| value.set(event_target_value(&ev))/>
                <button class="btn sm" type="submit"><Icon name="plus" size="i-s"/>"Add key"</button>
                <span class="t-bad" id="new-key-why" role="alert">{move || wrong.get()}</span>
            </div>
        </form>
    }
    .into_any()
}

#[component]
fn AsText(editor: Editor) -> impl IntoView {
    // Set once: updates must not overwrite what the user is typing.
    let text = RwSignal::new(untrack(|| dotenv::write(&editor.result())));
    let wrong = RwSignal::new(String::new());
    let typed = move |ev: leptos::ev::Event| {
        text.set(event_target_value(&ev));
        match dotenv::read(&text.get_untracked()) {
            Err(why) => wrong.set(why),
            Ok(vars) => {
                wrong.set(String::new());
                let gone: Vec<String> =
                    untrack(|| editor.keys()).into_iter().filter(|k| !vars.contains_key(k)).collect();
                vars.into_iter().for_each(|(k, v)| editor.edit(&k, Some(v)));
                gone.iter().for_each(|k| editor.edit(k, None));
            }
        }
    };
    view! {
        <div class="field">
            <label class="vh" for="env">"Config vars as text"</label>
            <textarea class="input mono" id="env" rows="14" spellcheck="false" style="height:auto;padding:10px 12px;line-height:1.6;resize:vertical"
                readonly=move || !editor.changes.get() aria-describedby="env-hint" aria-invalid=move || (!wrong.with(String::is_empty)).to_string()
                prop:value=move || text.get() on:input=typed>{text.get_untracked()}</textarea>
            <span class="hint" id="env-hint" aria-live="polite">
                {move || if wrong.with(String::is_empty) {
                    Either::Left(if editor.changes.get() { "One KEY=value per line. Removing a line unsets its key." } else { "One KEY=value per line, to view and copy." })
                } else {
                    Either::Right(view! { <span class="t-bad">{wrong.get()}</span> })
                }}
            </span>
        </div>
    }
    .into_any()
}

#[component]
fn SaveBar(app: ThisApp, editor: Editor) -> impl IntoView {
    let busy = RwSignal::new(false);
    let client = client();
    let toasts = Toasts::of_page();
    let next = move || app.status.get().and_then(|s| s.releases.first().map(|r| r.version + 1));
    let named = move |before: &str| {
        next().map_or_else(|| format!("{before}a single release"), |v| format!("{before}a single release, v{v}"))
    };
    let dynos = move || app.status.get().map_or(0, |s| s.dynos.len());
    let save = Callback::new(move |()| {
        let update = editor.edits.get_untracked();
        let request = client.config_vars_update(&app.name.get_untracked(), &update);
        act(busy, "Could not save", request, move |vars| {
            editor.saved.try_set(vars);
            editor.edits.try_set(ConfigVarsUpdate::new());
            toasts.done("Config vars saved and released");
        });
    });
    view! {
        <Show when=move || !editor.edits.with(ConfigVarsUpdate::is_empty)>
            <div class="bulk float" role="region" aria-label="Unsaved changes">
                <span><b>{move || words::count(editor.edits.with(ConfigVarsUpdate::len), "key", "keys")}</b>{move || named(" will be saved as ")}</span>
                <span class="meta">{move || match dynos() {
                    0 => "no dynos to restart".to_owned(),
                    n => format!("restarts {}, new ones first", words::count(n, "dyno", "dynos")),
                }}</span>
                <span class="push row">
                    <button class="btn gho sm" type="button" on:click=move |_| editor.edits.set(ConfigVarsUpdate::new())>"Discard"</button>
                    <ActButton class="btn pri sm".to_owned() busy on_click=save>
                        {move || next().map_or_else(|| "Save".into(), |v| format!("Save as v{v}"))}
                    </ActButton>
                </span>
            </div>
        </Show>
    }
    .into_any()
}
